"""Real tabs of a real Chromium. One that is put behind another is really hidden.

Playwright starts the browser and nothing more: pages of its own are told that they are always
visible. These tabs are made and driven through the bare DevTools protocol.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, CDPSession, Page, Playwright, sync_playwright

ANSWERS_WITHIN_S = 60.0
STARTS_WITHIN_S = 120.0
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
    "--window-size=1280,900",
]


def find_chromium() -> str:
    """The browser's program; skips where there is none."""
    configured = os.environ.get("CHROMIUM_BINARY")
    found = configured or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("no Chromium: set CHROMIUM_BINARY")
    return found


def launched(playwright: Playwright) -> Browser:
    """A browser without a window, to be closed."""
    return playwright.chromium.launch(
        executable_path=find_chromium(),
        args=ARGUMENTS,
        headless=True,
        timeout=STARTS_WITHIN_S * 1000,
    )


@contextmanager
def running_browser() -> Iterator[Tabs]:
    """A browser without a window, and its tabs."""
    with sync_playwright() as playwright:
        browser = launched(playwright)
        try:
            yield Tabs(browser)
        finally:
            browser.close()


class Tabs:
    """The tabs of one window."""

    def __init__(self, browser: Browser) -> None:
        self._session: CDPSession = browser.new_browser_cdp_session()
        self._waiter: Page = browser.new_page()
        self._answers: dict[int, dict[str, Any]] = {}
        self._messages = 0
        self._session.on("Target.receivedMessageFromTarget", self._receive)

    def open(self, address: str, *, script: str = "") -> Tab:
        """Open a tab in front of all others; the script runs before the page's own."""
        target = self._session.send("Target.createTarget", {"url": "about:blank"})["targetId"]
        attached = self._session.send(
            "Target.attachToTarget", {"targetId": target, "flatten": False}
        )
        session = attached["sessionId"]
        tab = Tab(self, target, session)
        tab.show()
        self.ask(session, "Page.enable")
        self.ask(session, "Page.addScriptToEvaluateOnNewDocument", source=script)
        self.ask(session, "Page.navigate", url=address)
        return tab

    def show(self, target: str) -> None:
        """Bring a tab to the front."""
        self._session.send("Target.activateTarget", {"targetId": target})

    def pause(self, seconds: float) -> None:
        """Let time pass, with messages coming in."""
        self._waiter.wait_for_timeout(seconds * 1000)

    def ask(self, session: str, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a message to a tab; what it answers."""
        self._messages += 1
        number = self._messages
        message = json.dumps({"id": number, "method": method, "params": parameters})
        self._session.send("Target.sendMessageToTarget", {"message": message, "sessionId": session})
        deadline = time.monotonic() + ANSWERS_WITHIN_S
        while number not in self._answers:
            assert time.monotonic() < deadline, f"the tab does not answer {method}"
            self.pause(0.01)
        answer = self._answers.pop(number)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self, event: dict[str, Any]) -> None:
        message = json.loads(event["message"])
        if "id" in message:
            self._answers[message["id"]] = message


class Tab:
    """One tab."""

    def __init__(self, tabs: Tabs, target: str, session: str) -> None:
        self._tabs, self._target, self._session = tabs, target, session

    def show(self) -> None:
        """Bring it to the front; what was there is hidden."""
        self._tabs.show(self._target)

    def run(self, script: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        answer = self._tabs.ask(
            self._session,
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")
