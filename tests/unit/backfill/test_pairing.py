"""Edits find their originals, and unsure ones are listed."""

import io

import numpy as np
import pytest
from PIL import Image

from shared.backfill.pairing import NEAR, Pair, Pairing, Traits, Way, plain_stem
from shared.imaging.traits import capture_time, looks

NOTHING = Traits(None, None)
MORNING, NOON = "2024:01:01 08:00:00", "2024:01:01 12:00:00"
SEA, SEA_AGAIN, TREE = 0b1111 << 40, 0b1110 << 40, (1 << 64) - 1


def find(edit: Traits, originals: dict[str, Traits], confirm: bool | None = None, name: str = "e/a-edit.jpg") -> Pair:
    known = {name: edit, **originals}
    answer = None if confirm is None else (lambda *_: confirm)
    return Pairing(originals, known.__getitem__, answer).find(name)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("x/IMG_1.JPG", "img_1"),
        ("IMG_E0012.HEIC", "img_0012"),
        ("a-edited.jpg", "a"),
        ("a_edit (2).jpg", "a"),
        ("a copy.jpg", "a"),
        ("credit.jpg", "credit"),
        ("edit.jpg", "edit"),
    ],
)
def test_names_without_what_editors_add(name: str, stem: str) -> None:
    assert plain_stem(name) == stem


def test_by_name() -> None:
    assert find(NOTHING, {"o/a.heic": NOTHING, "o/b.heic": NOTHING}) == Pair("e/a-edit.jpg", "o/a.heic", Way.NAME)


def test_two_of_one_name_are_told_apart_by_time_or_listed() -> None:
    originals = {"o/1/a.heic": Traits(MORNING, None), "o/2/a.heic": Traits(NOON, None)}
    assert find(Traits(NOON, None), originals).original == "o/2/a.heic"
    unsure = find(NOTHING, originals)
    assert (unsure.original, unsure.candidates) == (None, ("o/1/a.heic", "o/2/a.heic"))


def test_a_name_that_its_time_contradicts_is_no_pair() -> None:
    assert find(Traits(NOON, None), {"o/a.heic": Traits(MORNING, None)}) == Pair("e/a-edit.jpg", None, None)


def test_by_time() -> None:
    originals = {"o/x.heic": Traits(NOON, None), "o/y.heic": Traits(MORNING, None)}
    assert find(Traits(NOON, None), originals) == Pair("e/a-edit.jpg", "o/x.heic", Way.TIME)
    burst = find(Traits(NOON, None), originals | {"o/z.heic": Traits(NOON, None)})
    assert (burst.original, burst.candidates) == (None, ("o/x.heic", "o/z.heic"))


def test_likeness_is_only_believed_where_it_is_confirmed() -> None:
    originals = {"o/x.heic": Traits(None, SEA_AGAIN), "o/y.heic": Traits(None, TREE)}
    assert find(Traits(None, SEA), originals, confirm=True) == Pair("e/a-edit.jpg", "o/x.heic", Way.LIKENESS)
    for confirm in (False, None):
        assert find(Traits(None, SEA), originals, confirm=confirm).candidates == ("o/x.heic",)
    twins = originals | {"o/w.heic": Traits(None, SEA)}
    assert find(Traits(None, SEA), twins, confirm=True).candidates == ("o/w.heic", "o/x.heic")


def _picture(seed: int, side: int = 256) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def _jpeg(image: Image.Image, quality: int = 90, taken: str | None = None) -> bytes:
    exif = Image.Exif()
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, exif=exif)
    return stream.getvalue()


def test_looks_survive_size_tone_and_compression_and_tell_scenes_apart() -> None:
    seen = [looks(_jpeg(_picture(seed))) for seed in range(20)]
    for seed, mine in enumerate(seen):
        edited = _picture(seed, 400).point(lambda value: int(255 * (value / 255) ** 0.85))
        theirs = looks(_jpeg(edited, 60))
        assert mine is not None
        assert theirs is not None
        assert (mine ^ theirs).bit_count() <= NEAR
        assert all((other ^ theirs).bit_count() > NEAR for other in seen if other is not None and other != mine)


def test_capture_time() -> None:
    assert capture_time(_jpeg(_picture(1), taken=NOON)) == NOON
    assert capture_time(_jpeg(_picture(1))) is None
    assert (capture_time(b"no photo"), looks(b"no photo")) == (None, None)
