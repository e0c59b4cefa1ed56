"""The mask of a guided result: what it shows, and that it comes and goes with its result."""

import io
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import requests
from numpy.typing import NDArray
from PIL import Image

from shared.jobs import mask_key_of
from shared.service import open_database, open_store
from shared.settings import ServiceSettings
from tests.services.embedded import Embedded
from tests.unit.guided.test_guided import hdr, jpeg, scene
from worker.sweeper import sweep_orphans

STICKER = (300, 240, 60)  # x, y, radius in pixels of what the edit put there


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    folder = tmp_path_factory.mktemp("mask") / "data"
    folder.mkdir()
    running = Embedded(folder)
    running.start()
    yield running
    running.stop()


def submit(stack: Embedded, seed: int, *, guided: bool = True, **fields: str) -> Any:
    """A photo with a sticker on it, and its original; the finished job."""
    picture, gain = scene(seed)
    edit = picture.copy()
    cv2.circle(edit, STICKER[:2], STICKER[2], (30, 120, 220), -1)
    files = {"photo": ("a.jpg", jpeg(edit))} | ({"original": ("o.jpg", hdr(picture, gain))} if guided else {})
    answer = requests.post(
        f"{stack.url}/v1/jobs", files=files, data=fields, headers={**key(stack), "Prefer": "wait=30"}, timeout=60
    )
    assert answer.json()["status"] == "succeeded", answer.text
    return answer.json()


def key(stack: Embedded) -> dict[str, str]:
    """The headers of a call."""
    return {"Authorization": f"Bearer {stack.key}"}


def get(stack: Embedded, path: str) -> requests.Response:
    """A call."""
    return requests.get(f"{stack.url}{path}", headers=key(stack), timeout=30)


def keys(stack: Embedded) -> set[str]:
    """What is stored beside uploads."""
    return {info.key for info in open_store(ServiceSettings(data_dir=stack.folder)).list("results/")}


def pixels(answer: requests.Response) -> NDArray[np.uint8]:
    """The mask, (h, w) uint8."""
    assert answer.headers["Content-Type"] == "image/png"
    with Image.open(io.BytesIO(answer.content)) as image:
        return np.asarray(image)


def test_it_is_white_where_the_map_was_predicted(stack: Embedded) -> None:
    job = submit(stack, 1)
    assert job["result"]["mask"] is True
    mask = pixels(get(stack, job["links"]["mask"]))
    assert mask.shape == (240, 360)  # of the map
    x, y, radius = (value // 2 for value in STICKER)
    assert mask[y - radius // 2 : y + radius // 2, x - radius // 2 : x + radius // 2].min() > 250
    assert mask[20:60, 250:340].max() < 5
    assert mask.mean() / 255 == pytest.approx(job["result"]["guided"]["predicted"], abs=0.01)
    assert len(get(stack, job["links"]["mask"]).content) < 20_000


def test_without_an_original_there_is_none(stack: Embedded) -> None:
    job = submit(stack, 2, guided=False)
    assert job["result"]["mask"] is False
    refused = get(stack, job["links"]["mask"])
    assert (refused.status_code, refused.json()["code"]) == (404, "no_mask")


def test_it_goes_with_its_result_and_not_before(stack: Embedded) -> None:
    before = keys(stack)
    job = submit(stack, 3)
    other = submit(stack, 3, metadata='{"another": "job"}')  # answered with the same objects
    assert other["id"] != job["id"]
    assert other["result"]["mask"] is True
    made = keys(stack) - before
    (result,) = (name for name in made if name.endswith(".jpg"))
    assert made == {result, mask_key_of(result)}
    requests.delete(f"{stack.url}/v1/jobs/{job['id']}", headers=key(stack), timeout=30).raise_for_status()
    assert keys(stack) - before == made
    assert get(stack, other["links"]["mask"]).ok
    requests.delete(f"{stack.url}/v1/jobs/{other['id']}", headers=key(stack), timeout=30).raise_for_status()
    assert keys(stack) == before


def test_the_sweeper_takes_orphans_alone(stack: Embedded) -> None:
    job = submit(stack, 4)
    settings = ServiceSettings(data_dir=stack.folder)
    store, database = open_store(settings), open_database(settings)
    orphan = f"results/{'0' * 64}/{'1' * 64}.mask.png"
    store.put(orphan, io.BytesIO(b"left by a worker that died"), "image/png", 100)
    time.sleep(1.1)  # of what is younger than a second nothing is swept
    assert sweep_orphans(database, store, age=1) >= 1
    database.dispose()
    assert orphan not in keys(stack)
    assert pixels(get(stack, job["links"]["mask"])).shape == (240, 360)
