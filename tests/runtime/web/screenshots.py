"""`python -m tests.runtime.web.screenshots FOLDER`: the chat page on a desktop and a phone, to be looked at."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.runtime.replica.harness import running
from tests.runtime.web.browser import browser
from tests.runtime.web.test_page import DONE, MARKDOWN


async def take(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        async with running(Path(scratch), {"text": MARKDOWN}, auth="none", webui=True) as replica:
            async with browser(Path(scratch)) as tab:
                for name, look in {
                    "desktop": {"width": 1280, "height": 860},
                    "desktop-dark": {"width": 1280, "height": 860, "dark": True},
                    "phone": {"width": 390, "height": 844, "phone": True},
                    "phone-dark": {"width": 390, "height": 844, "phone": True, "dark": True},
                }.items():
                    await tab.open(replica.url, **look)
                    await tab.screenshot(folder / f"{name}-empty.png")
                    await tab.type("#prompt", "What is the capital of Canada?")
                    await tab.click("#send")
                    await tab.until(DONE.format(1))
                    await tab.screenshot(folder / f"{name}-chat.png")
                    await tab.js("openedPanel = document.getElementById('panel').hidden")
                    await tab.js("openedPanel && document.getElementById('open-panel').click()")
                    await tab.screenshot(folder / f"{name}-settings.png")
                    await tab.click("#new")


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1])))
