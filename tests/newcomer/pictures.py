"""Makes the pictures of the tutorial, in ``docs/images``, from the two sites of the tutorial::

    pip install -e '.[test,browser]'
    python -m tests.newcomer.pictures

Needs Chromium.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from ..browser.conftest import ARGUMENTS, BROWSERS
from ..browser.people import wait_for_both_ways
from ..reading import ROOT
from .pages_of_docs import blocks_of
from .project import Project
from .reader import Reader

IMAGES = ROOT / "docs" / "images"
#: In pixels. Narrow, so that the text is still large enough in the documentation.
WIDTH, MARGIN = 640, 16


def main() -> int:
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        print("Chromium is needed; see CONTRIBUTING.md.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as data, sync_playwright() as playwright:
        assistant = Project(Path(data) / "assistant", 8101)
        music = Project(Path(data) / "music", 8102)
        reader = Reader((assistant, music))
        try:
            for block in blocks_of("tutorial"):
                if not block.caption.endswith("playing.py"):
                    reader.follow(block)
                    continue
                break
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            size = {"width": WIDTH, "height": 900}
            _take(browser.new_page(viewport=size, color_scheme="light"), assistant)
            browser.close()
        finally:
            assistant.stop()
            music.stop()
    return 0


def _take(page: Any, assistant: Project) -> None:
    page.goto(f"{assistant.url}/connections/")
    _sign_in(page)
    _picture(page, "connect")
    page.get_by_role("button", name="Connect Music").click()
    _sign_in(page)
    _picture(page, "authorize")
    page.get_by_role("button", name="Authorize").or_(page.locator("input[name=allow]")).click()
    page.wait_for_url("**/consent/")
    _picture(page, "consent")
    page.get_by_role("button", name="Allow", exact=True).click()
    wait_for_both_ways(page)
    _picture(page, "linked")


def _sign_in(page: Any) -> None:
    page.fill("input[name=username]", "alice")
    page.fill("input[name=password]", "alice")
    page.press("input[name=password]", "Enter")
    page.wait_for_url(lambda url: "/admin/login/" not in url)


def _picture(page: Any, name: str) -> None:
    """Cut the picture below the last thing that is on the page."""
    bottom = page.evaluate(
        "Math.max(...[...document.querySelectorAll('body *')]"
        ".filter((each) => each.checkVisibility())"
        ".map((each) => each.getBoundingClientRect().bottom))"
    )
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": min(bottom + MARGIN, 900)}
    page.screenshot(path=IMAGES / f"tutorial_{name}.png", clip=clip)


if __name__ == "__main__":
    sys.exit(main())
