"""The page of batches in a real browser: a manifest handed in, watched, paused, called off, and run again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from tests.readers.chromium import binary
from tests.services.axe import MISSING, serious
from tests.services.embedded import Embedded, browser
from tests.services.photos import photo_server

pytestmark = [pytest.mark.chromium, pytest.mark.skipif(binary() is None, reason="Chromium is not installed")]
LONG = 60_000  # milliseconds


@pytest.fixture(scope="module")
def photos() -> Iterator[str]:
    with photo_server() as url:
        yield url


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("batches") / "data"
    folder.mkdir()
    running = Embedded(folder, {"REGAIN_ALLOW_PRIVATE_URLS": "true"})
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture
def page(chrome: Browser, stack: Embedded) -> Iterator[Page]:
    context = chrome.new_context(viewport={"width": 1100, "height": 800}, accept_downloads=True)
    made = context.new_page()
    faults: list[str] = []
    made.on("pageerror", lambda error: faults.append(str(error)))
    made.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
    made.goto(f"{stack.url}/audit")  # whose script asks for nothing
    made.evaluate("key => sessionStorage.setItem('regain-key', key)", stack.key)
    made.goto(f"{stack.url}/batches")
    made.evaluate("delete window.showSaveFilePicker")  # whose dialog no test can answer
    yield made
    context.close()
    assert faults == []


def submit(page: Page, name: str, *sources: str) -> Locator:
    """Hand in a manifest; the batch's card."""
    text = "".join(json.dumps({"source": source}) + "\n" for source in sources)
    manifest: FilePayload = {"name": "rows.jsonl", "mimeType": "application/x-ndjson", "buffer": text.encode()}
    page.set_input_files("#manifest", manifest)
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Start the batch").click()
    card = page.locator(".batch", has_text=name)
    expect(card).to_be_visible()
    return card


def button(card: Locator, label: str) -> Locator:
    """What can be done with a batch."""
    return card.get_by_role("button", name=label)


def test_a_batch_from_manifest_to_report(page: Page, photos: str) -> None:
    card = submit(page, "spring", *(f"{photos}/{n}.jpg" for n in (1, 2, 3, 1)), f"{photos}/none.jpg", "no address")
    expect(card.locator(".status")).to_have_text("Completed", timeout=LONG)
    for words in ("3 restored", "1 duplicates", "2 failed"):
        expect(card.locator(".counts")).to_contain_text(words)
    expect(card.locator(".failures")).to_contain_text("url failed (1)")
    expect(card).to_contain_text("100 % of 6 rows")
    expect(card.locator("svg.outcomes rect")).to_have_count(3)
    with page.expect_download() as waited:
        button(card, "Report").click()
    report = [json.loads(line) for line in Path(waited.value.path()).read_text().splitlines()]
    assert [row["outcome"] for row in report].count("restored") == 3
    assert waited.value.suggested_filename == "spring-report.jsonl"
    with page.expect_download() as waited:
        button(card, "Summary").click()
    assert len(Path(waited.value.path()).read_text().splitlines()) == 7
    button(card, "Rows").click()
    table = card.get_by_role("table")
    expect(table.locator("tbody tr")).to_have_count(2)  # those that failed come first
    expect(table).to_contain_text("none.jpg")
    card.get_by_label("Rows that are").select_option("")
    expect(table.locator("tbody tr")).to_have_count(6)
    expect(table).to_contain_text("As ")
    button(card, "Rerun failed").click()
    expect(page.locator("#live")).to_have_text("spring: Completed", timeout=LONG)
    expect(card.locator(".counts")).to_contain_text("2 failed")
    page.reload()
    expect(page.locator(".batch", has_text="spring").locator(".status")).to_have_text("Completed")


@pytest.mark.long
def test_pause_resume_and_cancel(page: Page, photos: str) -> None:
    card = submit(page, "long", *(f"{photos}/{n}.jpg" for n in range(1000, 1400)))
    button(card, "Pause").click(timeout=LONG)
    expect(card.locator(".status")).to_have_text("Paused")
    expect(button(card, "Resume")).to_be_focused()  # the focus stays with what can be done
    button(card, "Resume").click()
    expect(card.locator(".status")).to_have_text("Running")
    page.once("dialog", lambda dialog: dialog.dismiss())
    button(card, "Cancel").click()
    expect(card.locator(".status")).to_have_text("Running")
    page.once("dialog", lambda dialog: dialog.accept())
    button(card, "Cancel").click()
    expect(card.locator(".status")).to_have_text("Canceled", timeout=LONG)
    expect(card.locator(".counts")).to_contain_text("canceled")
    page.get_by_label("Show").select_option("canceled")
    expect(page.locator(".batch")).to_have_count(1)
    page.get_by_label("Show").select_option("paused")
    expect(page.locator("#none")).to_be_visible()


def test_a_manifest_that_is_none_is_refused_in_words(page: Page) -> None:
    manifest: FilePayload = {"name": "rows.csv", "mimeType": "text/csv", "buffer": b"one,two\n1,2\n"}
    page.set_input_files("#manifest", manifest)
    page.get_by_label("Copy results to").fill("no such bucket")
    page.get_by_role("button", name="Start the batch").click()
    expect(page.locator("#prefix:invalid")).to_be_focused()
    page.get_by_label("Copy results to").fill("")
    page.get_by_role("button", name="Start the batch").click()
    card = page.locator(".batch").first
    expect(card.locator(".status.failed")).to_have_text("Failed", timeout=LONG)
    expect(card).to_contain_text("source")


@pytest.mark.long
def test_a_long_manifest_is_uploaded(page: Page, photos: str) -> None:
    sources = [f"{photos}/none-{'x' * 200}-{n}.jpg" for n in range(3000)]
    with page.expect_response(lambda answer: answer.url.endswith("/v1/uploads")) as waited:
        card = submit(page, "large", *sources)
    assert waited.value.ok
    expect(card).to_contain_text("3,000 rows", timeout=LONG)
    page.once("dialog", lambda dialog: dialog.accept())
    button(card, "Cancel").click()
    expect(card.locator(".status")).to_have_text("Canceled", timeout=LONG)


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_axe_finds_nothing_serious(page: Page, photos: str) -> None:
    card = submit(page, "looked at", f"{photos}/7.jpg", f"{photos}/none.jpg")
    expect(card.locator(".status")).to_have_text("Completed", timeout=LONG)
    button(card, "Rows").click()
    card.get_by_role("table").wait_for()
    page.emulate_media(color_scheme="light")
    assert serious(page) == []
    page.emulate_media(color_scheme="dark")
    assert serious(page) == []
    page.set_viewport_size({"width": 375, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
