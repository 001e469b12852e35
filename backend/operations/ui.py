"""The page's files under /ui/, and Swagger's under /docs/files/.

Files whose names hold a hash of their content are kept by browsers for good; the rest is asked for
again each time. An address that is no file is the page's own affair, dots or not: it gets
index.html. Only below `assets/` a missing file is one.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

# hls.js plays through MediaSource (blob:) and unpacks in a worker made from a blob
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:;"
    " worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; object-src 'none';"
    " base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>VAP</title>
<body style="font-family: system-ui; margin: 3rem auto; max-width: 40rem">
<h1>The page is not built yet</h1>
<p>VAP runs, but the files of its page are missing. Build them with</p>
<pre>make frontend</pre>
<p>and load this page again. The API is described at <a href="/docs">/docs</a>.</p>
"""


class PageFiles(StaticFiles):
    """The built page: files, and index.html for its own addresses."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory=directory, check_dir=False)

    async def check_config(self) -> None:
        """A page that is not built yet is answered, not raised."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, else index.html, else how to build it."""
        is_asset = PurePosixPath(path).parts[:1] == ("assets",)
        try:
            response = await super().get_response(path, scope)
            response.headers["Cache-Control"] = FOREVER if is_asset else ASK_AGAIN
        except HTTPException as error:
            if error.status_code != 404 or is_asset:
                raise
            response = await self._index(scope)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    async def _index(self, scope: Scope) -> Response:
        try:
            response = await super().get_response("index.html", scope)
        except HTTPException as error:
            if error.status_code != 404:
                raise
            response = HTMLResponse(NOT_BUILT, status_code=503)
        response.headers["Cache-Control"] = ASK_AGAIN
        return response
