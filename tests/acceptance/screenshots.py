"""Take the pictures of docs/screenshots: `make screenshots`. The photo in them is rendered by us."""

import io
import sys
import tempfile
from pathlib import Path
from typing import Final, Literal

from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page

from infra.render_demo import render
from tests.services.embedded import Embedded, browser

TARGET: Final = Path(__file__).parents[2] / "docs" / "screenshots"
VIEWS: Final = ("Compare", "Exposure", "Gain map", "Metadata", "Audit")
QUALITY: Final = 72  # of JPEG: each stays below 150 kB


def take(stack: Embedded, chrome: Browser, target: Path) -> None:
    """Every view once: wide and light, the slider dark, and a telephone."""
    target.mkdir(parents=True, exist_ok=True)
    page = _opened(stack, chrome, 1100, 820, "light")
    _save(page, target / "restore.jpg")
    for view in VIEWS:
        page.get_by_role("tab", name=view).click()
        page.locator("#viewer").evaluate("part => part.scrollIntoView()")
        _save(page, target / f"{view.lower().replace(' ', '-')}.jpg", whole=view == "Gain map")
    page = _opened(stack, chrome, 1100, 820, "dark")
    _save(page, target / "compare-dark.jpg", whole=True)
    page = _opened(stack, chrome, 375, 760, "dark")
    _save(page, target / "telephone.jpg", whole=True)
    _audit(stack, page, target)


def _opened(stack: Embedded, chrome: Browser, width: int, height: int, scheme: Literal["light", "dark"]) -> Page:
    page = chrome.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(stack.url)
    page.evaluate("key => sessionStorage.setItem('regain-key', key)", stack.key)
    whole = io.BytesIO()
    Image.fromarray(render()).save(whole, "JPEG", quality=92)
    cut: FilePayload = {"name": "harbour.jpg", "mimeType": "image/jpeg", "buffer": whole.getvalue()[:5000]}
    street: FilePayload = {"name": "street at dusk.jpg", "mimeType": "image/jpeg", "buffer": whole.getvalue()}
    page.set_input_files("#photos", [street, cut])
    page.locator("[data-act=view]").click(timeout=30_000)
    page.locator(".stage").wait_for()
    return page


def _audit(stack: Embedded, page: Page, target: Path) -> None:
    with page.expect_download() as waited:
        page.locator("[data-act=download]").click()
    high = Path(waited.value.path()).read_bytes()
    flat = high[: high.index(b"\xff\xd9\xff\xd8") + 2]
    page.set_viewport_size({"width": 1100, "height": 820})
    page.emulate_media(color_scheme="light")
    page.goto(f"{stack.url}/audit")
    before: FilePayload = {"name": "as exported.jpg", "mimeType": "image/jpeg", "buffer": high}
    after: FilePayload = {"name": "after the upload.jpg", "mimeType": "image/jpeg", "buffer": flat}
    page.set_input_files("#files", [before, after])
    page.locator(".report").nth(1).wait_for()
    _save(page, target / "audit-page.jpg", whole=True)


def _save(page: Page, path: Path, *, whole: bool = False) -> None:
    page.screenshot(path=path, type="jpeg", quality=QUALITY, full_page=whole)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary, browser() as running:
        data = Path(temporary) / "data"
        data.mkdir()
        service = Embedded(data)
        service.start()
        try:
            take(service, running, Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
        finally:
            service.stop()
