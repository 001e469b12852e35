"""Fixtures of the browser tests: the built page, a Chromium for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.numbered_pictures import LONG_BITS, make_numbered_video
from tests.browser.tabs import find_chromium, launched
from tests.conftest import ROOT
from tests.waiting import WITHIN_S

expect.set_options(timeout=WITHIN_S * 1000)


@pytest.fixture(scope="session", autouse=True)
def page_is_built() -> None:
    """What `make` builds before it tests."""
    if not (ROOT / "frontend" / "dist" / "index.html").is_file():
        pytest.skip("the page is not built: make frontend")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    find_chromium()
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def numbered_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that carry their numbers, for 102.4 s."""
    folder = tmp_path_factory.mktemp("numbered")
    return make_numbered_video(folder / "numbered.mp4", bits=LONG_BITS)
