"""The page in a real browser, over the whole embedded stack."""

import io
import json
import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect

from infra.render_demo import render
from tests.golden.recipe import photo
from tests.readers.chromium import binary
from tests.services.axe import MISSING, serious
from tests.services.embedded import ROOT, Embedded, browser
from tests.services.stack import marked
from tests.services.stacking import PEAKS, WALK
from tests.unit.guided.test_guided import hdr, jpeg, scene

SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
pytestmark = [pytest.mark.chromium, pytest.mark.skipif(binary() is None, reason="Chromium is not installed")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("page") / "data"
    folder.mkdir()
    running = Embedded(folder)
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture
def page(chrome: Browser, stack: Embedded) -> Iterator[Page]:
    context = chrome.new_context(viewport={"width": 1100, "height": 800}, has_touch=True, accept_downloads=True)
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda error: faults.append(str(error)))
    made.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    made.goto(stack.url)
    made.evaluate("key => sessionStorage.setItem('regain-key', key)", stack.key)
    yield made
    context.close()
    assert faults == []


def files(count: int, jpeg: bytes | None = None) -> list[FilePayload]:
    """Photos that nobody has sent before."""
    return [
        {"name": f"photo-{n}.jpg", "mimeType": "image/jpeg", "buffer": marked(jpeg or photo(), f"{n} {time.time_ns()}")}
        for n in range(count)
    ]


def viewed(page: Page) -> None:
    """One photo, sent and on show."""
    page.set_input_files("#photos", files(1))
    page.locator("[data-act=view]").first.click(timeout=20_000)
    page.locator(".stage").wait_for()


def at(page: Page) -> int:
    """Where the slider stands, percent."""
    return int(page.locator("[role=slider]").get_attribute("aria-valuenow") or "-1")


# A file that a page may write, without the dialog, which no test can answer: the browser's own private one.
PICKER: Final = """() => { window.showSaveFilePicker = async ({suggestedName}) =>
    (await navigator.storage.getDirectory()).getFileHandle(suggestedName, {create: true}); }"""
WRITTEN: Final = """async () => { const folder = await navigator.storage.getDirectory();
    const file = await (await folder.getFileHandle('regain.zip')).getFile();
    return [...new Uint8Array(await file.arrayBuffer())]; }"""


def members(archive: bytes) -> list[str]:
    """The names in a ZIP whose members are whole, and are JPEGs."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        assert all(opened.read(name).startswith(b"\xff\xd8") for name in opened.namelist())
        return sorted(opened.namelist())


def test_an_archive_that_breaks_off_leaves_the_file_alone(page: Page, stack: Embedded) -> None:
    page.set_input_files("#photos", files(2))
    expect(page.locator("[data-status=succeeded]")).to_have_count(2, timeout=30_000)
    page.evaluate(PICKER)
    page.click("#zip")
    expect(page.locator("#live")).to_have_text("The archive is saved")
    job = page.evaluate("JSON.parse(sessionStorage.getItem('regain-jobs'))[1].job.id")
    answer = page.request.delete(f"{stack.url}/v1/jobs/{job}", headers={"Authorization": f"Bearer {stack.key}"})
    assert answer.ok
    page.click("#zip")
    expect(page.locator("#trouble")).to_contain_text("no job")
    assert members(bytes(page.evaluate(WRITTEN))) == ["photo-0_hdr.jpg", "photo-1_hdr.jpg"]
    page.evaluate("() => { window.showSaveFilePicker = async () => { throw new DOMException('', 'AbortError'); }; }")
    page.click("#zip")
    expect(page.locator("#zip")).to_be_enabled()


def test_ten_photos_one_of_them_broken(page: Page) -> None:
    sent = files(10)
    sent[4]["buffer"] = sent[4]["buffer"][:900]
    page.set_input_files("#photos", sent)
    expect(page.locator("[data-status=succeeded]")).to_have_count(9, timeout=30_000)
    broken = page.locator("li", has_text="photo-4.jpg")
    expect(broken).to_contain_text("cut off")
    page.evaluate("delete window.showSaveFilePicker")  # as in Firefox and Safari
    with page.expect_download() as waited:
        page.click("#zip")
    wanted = sorted(f"photo-{n}_hdr.jpg" for n in range(10) if n != 4)
    assert members(Path(waited.value.path()).read_bytes()) == wanted
    page.evaluate(PICKER)
    page.evaluate("() => { document.getElementById('live').textContent = ''; }")
    page.click("#zip")
    expect(page.locator("#live")).to_have_text("The archive is saved")
    assert members(bytes(page.evaluate(WRITTEN))) == wanted
    broken.get_by_role("button", name="Dismiss").click()
    expect(page.locator(".job")).to_have_count(9)


def test_the_slider_by_mouse_touch_and_keyboard(page: Page) -> None:
    viewed(page)
    stage = page.locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box is not None
    y = box["y"] + 40
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, y)
    assert at(page) == 25
    assert page.evaluate(WALK) == []  # in mid-drag
    page.mouse.up()
    page.mouse.move(box["x"] + box["width"] * 0.9, y)
    assert at(page) == 25
    page.touchscreen.tap(box["x"] + box["width"] * 0.8, y)
    assert at(page) == 80
    page.locator("[role=slider]").focus()
    for pressed, expected in (("ArrowLeft", 78), ("End", 100), ("PageDown", 90), ("Home", 0)):
        page.keyboard.press(pressed)
        assert at(page) == expected
    assert page.evaluate("document.querySelectorAll('.stage img')[1].style.clipPath") == "inset(0px 0px 0px 0%)"


def test_the_image_on_the_page_is_hdr(page: Page) -> None:
    viewed(page)
    flat, full = page.evaluate(PEAKS)
    assert flat <= 1.001
    assert full > 1.1


def test_nothing_around_the_image_takes_its_hdr(page: Page) -> None:
    viewed(page)
    assert page.evaluate(WALK) == []
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(WALK) == []
    page.click("#key-open")
    assert page.evaluate(WALK) == []
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="HDR", exact=True).click()
    assert page.evaluate(WALK) == []
    depth = page.evaluate(
        "() => { let n = 0; for (let b = document.querySelector('.stage'); b; b = b.parentElement) n += 1; return n; }"
    )
    assert depth > 3
    for level in range(depth):  # the walk itself: no ancestor escapes it
        change = """([level, value]) => { let box = document.querySelector('.stage');
            for (let i = 0; i < level; i += 1) box = box.parentElement; box.style.overflow = value; }"""
        page.evaluate(change, [level, "hidden"])
        assert any("overflow" in line for line in page.evaluate(WALK)), level
        page.evaluate(change, [level, ""])
    assert page.evaluate(WALK) == []


def test_every_view_of_a_result(page: Page) -> None:
    viewed(page)
    for name, held in {
        "SDR": ".stage img",
        "Exposure": "canvas.picture",
        "Gain map": "svg.bars rect",
        "Metadata": "td",
        "Audit": ".standards h3",
    }.items():
        page.get_by_role("tab", name=name, exact=True).click()
        expect(page.locator(f"#panel {held}").first).to_be_visible()
    expect(page.locator("#panel")).to_contain_text("Shows the HDR")


# A browser without WebGL 2.
NO_UNIT: Final = """() => { const get = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
      return kind === 'webgl2' ? null : get.call(this, kind, ...more); }; }"""


@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_three_ways_to_an_exposure_agree(page: Page, orientation: int) -> None:
    turned = Image.Exif()
    turned[0x0112] = orientation
    photo = io.BytesIO()
    Image.fromarray(render()).resize((240, 160)).save(photo, "JPEG", quality=95, exif=turned)
    page.set_input_files("#photos", files(1, photo.getvalue()))
    page.locator("[data-act=view]").first.click(timeout=20_000)
    page.locator(".stage").wait_for()
    own = exposed(page, "2d")  # the browser's own rendering for a screen with headroom
    page.evaluate("delete CanvasRenderingContext2D.prototype.globalHDRHeadroom")
    unit = exposed(page, "webgl2")
    page.evaluate(NO_UNIT)
    computed = exposed(page, "2d")
    assert max(own[0::4]) > 100
    for name, other in (("unit", unit), ("computed", computed)):
        apart = sum(abs(a - b) for a, b in zip(own, other, strict=True)) / len(own)
        print(f"orientation {orientation}, {name}: {apart:.2f} levels apart")
        assert apart < 0.5, name


def guided(page: Page) -> None:
    """An edit and its original, sent together and on show."""
    picture, gain = scene(time.time_ns() % 2**31)
    edit = picture.copy()
    edit[180:300, 240:360] = (30, 120, 220)
    pair: list[FilePayload] = [
        {"name": "room-edit.jpg", "mimeType": "image/jpeg", "buffer": jpeg(edit)},
        {"name": "room-original.jpg", "mimeType": "image/jpeg", "buffer": hdr(picture, gain)},
    ]
    page.set_input_files("#photos", pair)
    page.locator("[data-act=view]").first.click(timeout=20_000)
    page.locator(".stage").wait_for()


def test_a_guided_result_shows_where_its_map_comes_from(page: Page) -> None:
    guided(page)
    page.get_by_role("tab", name="Mask").click()
    expect(page.locator(".legend")).to_contain_text(
        re.compile(r"Transferred from the original: 9\d %.*Predicted: \d %")
    )
    pixel = (
        """([x, y]) => [...document.querySelector('canvas.picture').getContext('2d').getImageData(x, y, 1, 1).data]"""
    )
    orange, blue = page.evaluate(pixel, [300, 240]), page.evaluate(pixel, [650, 60])
    assert orange[0] > orange[2] + 80
    assert blue[2] > blue[0] + 80
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if MISSING is None:
        assert serious(page) == []


PIXELS: Final = """(kind) => { const canvas = document.querySelector('canvas.picture');
    if (!canvas.getContext(kind)) throw new Error(`the canvas is not drawn by ${kind}`);
    const copy = Object.assign(document.createElement('canvas'), {width: canvas.width, height: canvas.height});
    const context = copy.getContext('2d');
    context.drawImage(canvas, 0, 0);
    return [...context.getImageData(0, 0, copy.width, copy.height).data]; }"""


def exposed(page: Page, kind: str) -> list[int]:
    """The pixels of the exposure view, RGBA, which a context of this kind drew."""
    page.get_by_role("tab", name="Exposure").click()
    found: list[int] = page.evaluate(PIXELS, kind)
    return found


def test_a_key_is_asked_for_once(page: Page, stack: Embedded) -> None:
    page.evaluate("sessionStorage.setItem('regain-key', 'rgn_wrong')")
    page.goto(f"{stack.url}/audit")
    flat: FilePayload = {"name": "flat.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    page.set_input_files("#files", [flat])
    page.get_by_label("Key", exact=True).fill(stack.key)
    page.keyboard.press("Enter")
    expect(page.locator(".report")).to_contain_text("A flat SDR photo")
    page.set_input_files("#files", [flat, flat])
    expect(page.locator(".report")).to_have_count(2)


def test_a_reload_in_mid_run(page: Page) -> None:
    large = io.BytesIO()
    Image.fromarray(render()).save(large, "JPEG")  # half a second of work each
    page.set_input_files("#photos", files(6, large.getvalue()))
    expect(page.locator(".job")).to_have_count(6)
    expect(page.locator("[data-status=waiting], [data-status=sending]")).to_have_count(0, timeout=20_000)
    assert page.locator("[data-status=queued], [data-status=running]").count() > 0
    page.reload()
    expect(page.locator("[data-status=succeeded]")).to_have_count(6, timeout=30_000)


def test_audit_of_two_files(page: Page, stack: Embedded) -> None:
    viewed(page)
    with page.expect_download() as waited:
        page.locator("[data-act=download]").click()
    high = Path(waited.value.path()).read_bytes()
    page.goto(f"{stack.url}/audit")
    before: FilePayload = {"name": "before.jpg", "mimeType": "image/jpeg", "buffer": high}
    after: FilePayload = {"name": "after.jpg", "mimeType": "image/jpeg", "buffer": photo()}
    page.set_input_files("#files", [before, after])
    expect(page.locator(".difference")).to_contain_text("The gain map is gone")
    expect(page.locator(".report")).to_have_count(2)


def told(page: Page, url: str, script: str = "") -> list[str]:
    """What a page that is opened tells of its screen."""
    sent: list[tuple[str, str]] = []
    opened = page.context.new_page()
    opened.on("request", lambda request: sent.append((request.url, request.post_data or "")))
    opened.add_init_script(script)
    opened.goto(f"{url}/audit")
    opened.wait_for_timeout(1500)  # that nothing is sent can only be seen by waiting
    assert opened.evaluate("Object.keys(localStorage).concat(Object.keys(sessionStorage))") == []
    return [body for url, body in sent if url.endswith("/insights/views")]


def test_a_view_is_told_once_and_in_four_words(page: Page, stack: Embedded) -> None:
    (body,) = told(page, stack.url)
    reading = json.loads(body)
    assert reading == {"dynamic_range": "standard", "gamut": "srgb", "renderer": "software", "browser": "chrome"}
    assert page.context.cookies() == []


@pytest.mark.parametrize("name", ["globalPrivacyControl", "doNotTrack"])
def test_who_asks_not_to_be_counted_tells_nothing(page: Page, stack: Embedded, name: str) -> None:
    value = "true" if name == "globalPrivacyControl" else "'1'"
    assert told(page, stack.url, f"Object.defineProperty(Navigator.prototype, '{name}', {{get: () => {value}}})") == []


def test_who_can_see_hdr(page: Page, stack: Embedded) -> None:
    high = {"dynamic_range": "high", "gamut": "p3", "renderer": "apple", "browser": "safari"}
    for _ in range(3):
        assert page.request.post(f"{stack.url}/v1/insights/views", data=high).status == 204
    page.goto(f"{stack.url}/insights")
    expect(page.locator(".answer")).to_have_count(2)
    for name in ("By day", "By colour gamut", "By graphics unit", "By browser"):
        section = page.get_by_role("region", name=name)
        expect(section.locator("svg circle").first).to_be_visible()
        expect(section.locator("tbody tr").first).to_be_visible()
    safari = page.get_by_role("table", name="By browser").get_by_role("row", name="safari")
    expect(safari.locator("td").last).to_have_text(re.compile(r" (\d+) of \1$"))
    page.get_by_label("Days").select_option("7")
    expect(page.locator("#answer > .hint").first).to_contain_text("UTC")


def test_the_page_is_light() -> None:
    files = [file for file in (ROOT / "api" / "web" / "static").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 150_000


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_axe_finds_nothingserious(page: Page, stack: Embedded) -> None:
    viewed(page)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        for tab in ("Compare", "Exposure", "Gain map", "Metadata", "Audit"):
            page.get_by_role("tab", name=tab).click()
            assert serious(page) == [], (scheme, tab)
        page.click("#key-open")
        assert serious(page) == []
        page.keyboard.press("Escape")
    for path in ("audit", "insights"):
        page.goto(f"{stack.url}/{path}")
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.wait_for_load_state("networkidle")
            assert serious(page) == [], (path, scheme)


def test_a_telephone_and_no_inline_script(page: Page, stack: Embedded) -> None:
    page.set_viewport_size({"width": 375, "height": 700})
    viewed(page)
    for tab in ("Compare", "Gain map", "Metadata", "Audit"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, tab
    for path in ("audit", "insights"):
        page.goto(f"{stack.url}/{path}")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, path
    answer = page.request.get(stack.url)
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "style=" not in answer.text()


def test_the_service_goes_and_comes_back(page: Page, stack: Embedded) -> None:
    stack.stop()
    try:
        page.set_input_files("#photos", files(2))
        expect(page.locator(".job").first).to_contain_text("does not answer")
    finally:
        stack.start()
    expect(page.locator("[data-status=succeeded]")).to_have_count(2, timeout=40_000)
