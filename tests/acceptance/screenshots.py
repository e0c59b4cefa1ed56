"""Take the pictures of docs/screenshots: `make screenshots`. The photo in them is rendered by us."""

import io
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Locator, Page

from infra.render_demo import render
from shared.database import Database, insight_store
from shared.imaging.encode import encode_gain_map
from shared.insights import DynamicRange, Family, Gamut, Reading, Renderer, day_of
from shared.ultrahdr import GainMapMetadata, assemble
from tests.services.embedded import Embedded, browser
from tests.services.photos import photo_server

TARGET: Final = Path(__file__).parents[2] / "docs" / "screenshots"
DAYS: Final = 21  # that the page of insights shows
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
    _mask(_keyed(stack, chrome), target)
    _insights(_keyed(stack, chrome), stack, target)
    _batches(_keyed(stack, chrome), stack, target)


def _keyed(stack: Embedded, chrome: Browser) -> Page:
    page = chrome.new_page(viewport={"width": 1100, "height": 820}, color_scheme="light")
    page.goto(stack.url)
    page.evaluate("key => sessionStorage.setItem('regain-key', key)", stack.key)
    return page


def _mask(page: Page, target: Path) -> None:
    """An edit with a balloon that its original has not."""
    picture = render()
    small, linear = cv2.resize(picture, None, fx=0.25, fy=0.25), (picture / 255.0) ** 2.2
    glow = np.log2(1 + 3 * np.clip(linear.max(axis=2) - 0.7, 0, None))
    gain = np.asarray(cv2.resize(glow, small.shape[1::-1]) / glow.max() * 255, np.uint8)
    metadata = GainMapMetadata.from_floats(
        gain_map_min=0.0, gain_map_max=2.0, gamma=1.0, base_offset=1 / 64, alternate_offset=1 / 64,
        base_hdr_headroom=0.0, alternate_hdr_headroom=2.0,
    )  # fmt: skip
    edit = picture.copy()
    cv2.ellipse(edit, (1250, 300), (110, 140), 0, 0, 360, (190, 60, 50), -1)
    cv2.line(edit, (1250, 440), (1240, 620), (40, 30, 30), 3)
    whole = assemble(_jpeg(picture), encode_gain_map(gain), metadata)
    pair: list[FilePayload] = [
        {"name": "street-edit.jpg", "mimeType": "image/jpeg", "buffer": _jpeg(edit)},
        {"name": "street-original.jpg", "mimeType": "image/jpeg", "buffer": whole},
    ]
    page.set_input_files("#photos", pair)
    page.locator("[data-act=view]").click(timeout=60_000)
    page.get_by_role("tab", name="Mask").click()
    page.locator("#viewer").evaluate("part => part.scrollIntoView()")
    _save(page, target / "mask.jpg")


def _batches(page: Page, stack: Embedded, target: Path) -> None:
    """One batch that has ended, its failed rows on show, and one that is paused on its way."""
    page.goto(f"{stack.url}/batches")
    with photo_server() as photos:
        spring = _batch(page, "Spring", *(f"{photos}/{n}.jpg" for n in range(30)), f"{photos}/gone.jpg", "no address")
        spring.get_by_role("button", name="Report").wait_for(timeout=60_000)
        spring.get_by_role("button", name="Rows").click()
        summer = _batch(page, "Summer", *(f"{photos}/{n}.jpg" for n in range(100, 500)))
        page.wait_for_function("document.querySelector('.outcomes .restored')?.width.baseVal.value > 200")
        summer.get_by_role("button", name="Pause").click()
        summer.get_by_role("button", name="Resume").wait_for()
        _save(page, target / "batches.jpg", whole=True)


def _batch(page: Page, name: str, *sources: str) -> Locator:
    text = "".join(json.dumps({"source": source}) + "\n" for source in sources)
    rows: FilePayload = {"name": "rows.jsonl", "mimeType": "application/x-ndjson", "buffer": text.encode()}
    page.set_input_files("#manifest", rows)
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Start the batch").click()
    return page.locator(".batch", has_text=name)


def _insights(page: Page, stack: Embedded, target: Path) -> None:
    """Three weeks of visitors, drawn at random; those with HDR come more often."""
    rng = random.Random(1)
    kinds = {
        Reading(DynamicRange.HIGH, Gamut.P3, Renderer.APPLE, Family.SAFARI): 32,
        Reading(DynamicRange.HIGH, Gamut.P3, Renderer.ADRENO, Family.CHROME): 20,
        Reading(DynamicRange.HIGH, Gamut.P3, Renderer.XCLIPSE, Family.SAMSUNG): 6,
        Reading(DynamicRange.STANDARD, Gamut.SRGB, Renderer.INTEL, Family.CHROME): 30,
        Reading(DynamicRange.STANDARD, Gamut.SRGB, Renderer.NVIDIA, Family.FIREFOX): 8,
        Reading(DynamicRange.STANDARD, Gamut.P3, Renderer.AMD, Family.EDGE): 4,
    }
    database = Database(f"sqlite:///{stack.folder / 'regain.sqlite3'}")
    for back in range(DAYS, -1, -1):
        with database.begin() as connection:
            for visitor in range(rng.randint(20, 45)):
                (reading,) = rng.choices(list(kinds), list(kinds.values()))
                views = rng.choice([1, 1, 2, 3, 6] if reading.dynamic_range is DynamicRange.HIGH else [1, 1, 2])
                for _ in range(views):
                    day = day_of(time.time() - back * 86400)
                    insight_store.count_view(connection, day, str(visitor), "", reading)
    database.dispose()
    page.goto(f"{stack.url}/insights")
    page.locator(".answer").first.wait_for()
    _save(page, target / "insights.jpg")


def _opened(stack: Embedded, chrome: Browser, width: int, height: int, scheme: Literal["light", "dark"]) -> Page:
    page = chrome.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(stack.url)
    page.evaluate("key => sessionStorage.setItem('regain-key', key)", stack.key)
    whole = _jpeg(render())
    cut: FilePayload = {"name": "harbour.jpg", "mimeType": "image/jpeg", "buffer": whole[:5000]}
    street: FilePayload = {"name": "street at dusk.jpg", "mimeType": "image/jpeg", "buffer": whole}
    page.set_input_files("#photos", [street, cut])
    page.locator("[data-act=view]").click(timeout=30_000)
    page.locator(".stage").wait_for()
    return page


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=92)
    return out.getvalue()


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
        service = Embedded(data, {"REGAIN_ALLOW_PRIVATE_URLS": "true"})
        service.start()
        try:
            take(service, running, Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
        finally:
            service.stop()
