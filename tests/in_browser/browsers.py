"""Debian's Chromium without a window, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
PHONE = {"width": 375, "height": 800}
DESK = {"width": 1280, "height": 900}


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that ends with the context.

    Raises:
        pytest.UsageError: there is none on this machine.
    """
    if CHROMIUM is None:
        raise pytest.UsageError("there is no chromium here; apt-get install chromium, or name one with CHROMIUM=PATH")
    with sync_playwright() as playwright:
        # As root, in a container, there is no sandbox to be had; the pages are ours.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, address: str, **context: Any) -> Iterator[Page]:
    """A page that says nothing on the console and throws no error while it is open; asks nothing of the network."""
    told: list[str] = []
    asked: list[str] = []
    with browser.new_context(**context) as made:
        page = made.new_page()
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        yield page
    assert told == []
    assert [url for url in asked if not url.startswith(("file:", "about:"))] == []
