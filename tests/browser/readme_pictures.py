"""Makes the pictures of the README, in ``docs/images``, from the two example sites::

    pip install -e '.[test,browser]'
    python -m tests.browser.readme_pictures

Needs Chromium. The person who is seen links the assistant with the music service, as in the demo.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from example_project.pairing import pair
from example_project.sites import free_ports, running, two_sites

from .conftest import ARGUMENTS, BROWSERS, HOSTS
from .people import go_to_consent, open_steps, wait_for_both_ways

IMAGES = Path(__file__).parents[2] / "docs" / "images"
#: Narrow, so that the text is still large enough in the README, and the files are small.
WIDTH = 600


def main() -> int:
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        print("Chromium is needed; see CONTRIBUTING.md.", file=sys.stderr)
        return 1
    IMAGES.mkdir(exist_ok=True)
    first, second = free_ports()
    with tempfile.TemporaryDirectory() as data, sync_playwright() as playwright:
        assistant, music = two_sites(Path(data), ports=(first, second), hosts=HOSTS, paired=True)
        with running(assistant, music, prepare=True):
            pair(assistant, music)
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": WIDTH, "height": 900}, color_scheme="light")
            go_to_consent(page, assistant, music)
            page.get_by_role("button", name="Allow", exact=True).click()
            page.wait_for_url("**/connections/links/*/")
            wait_for_both_ways(page)
            open_steps(page)
            page.locator(".ro-diagram").screenshot(path=IMAGES / "diagram.png")
            page.goto(f"{assistant.url}/connections/")
            card = page.locator("[data-link]").bounding_box()
            height = card["y"] + card["height"] + 16
            clip = {"x": 0, "y": 0, "width": WIDTH, "height": height}
            page.screenshot(path=IMAGES / "connections.png", clip=clip)
            browser.close()
    for picture in sorted(IMAGES.glob("*.png")):
        print(f"{picture.relative_to(IMAGES.parents[1])}: {picture.stat().st_size / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
