"""Fixtures of the browser tests: the built page, a Chromium for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.numbered_pictures import make_numbered_video
from tests.browser.tabs import ARGUMENTS, find_chromium
from tests.conftest import ROOT


@pytest.fixture(scope="session", autouse=True)
def page_is_built() -> None:
    """What `make` builds before it tests."""
    if not (ROOT / "frontend" / "dist" / "index.html").is_file():
        pytest.skip("the page is not built: make frontend")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    program = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS, headless=True)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def numbered_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that carry their numbers."""
    return make_numbered_video(tmp_path_factory.mktemp("numbered") / "numbered.mp4")
