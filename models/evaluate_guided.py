"""Score guided restoration on edits whose truth is known: `python -m models.evaluate_guided --data DIR --fit DIR`.

DIR holds pairs as `models.evaluate` takes them. Errors are in stops against the photo's whole gain, its floor
included; a network knows no floor, so its column beside it has the true one added.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from models.guided_edits import KINDS, Edit, start
from models.training.baselines import bin_of, fit
from models.training.pairs import LOG2_OFFSET, LOG2_SCALE, load_pairs, read_index
from shared.imaging.colour import luminance, srgb_to_linear
from shared.imaging.original import Original
from shared.registry import find_model
from shared.settings import load_settings
from shared.ultrahdr import AppleGainMap, MetadataSource
from worker.guided.align import Alignment, align
from worker.guided.transfer import join
from worker.pipeline import map_size_of
from worker.predictors import Predictor, make_predictor

COLUMNS: Final = ("photos", "accepted", "guided", "guided_lw", "unedited", "edited", "network", "network_lw",
                  "network_floor", "stale", "lut_floor", "align_px", "iou", "expected", "predicted_error")  # fmt: skip
LEAST_EDITED: Final = 0.005  # of the picture: below, there is no edited content to score

Stops = NDArray[np.float32]
Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Photo:
    """One pair: the picture, its whole gain (h, w) in stops, and the floor in it."""

    name: str
    group: int
    edit: Edit
    original: Original
    floor: float


def load(folder: Path, row: dict[str, Any]) -> Photo:
    """Read one line of an index, the floor left in.

    Raises:
        FileNotFoundError: a picture is missing.
    """
    sdr = cv2.imread(str(folder / f"{row['id']}.sdr.jpg"), cv2.IMREAD_COLOR)
    sample = cv2.imread(str(folder / f"{row['id']}.log2gain.jpg"), cv2.IMREAD_GRAYSCALE)
    if sdr is None or sample is None:
        raise FileNotFoundError(f"{folder}: picture {row['id']} of index.jsonl is missing or unreadable")
    stops = np.asarray(sample.astype(np.float32) / 255 * LOG2_SCALE + LOG2_OFFSET, np.float32)
    picture = np.ascontiguousarray(sdr[:, :, ::-1]).astype(np.uint8)
    original = Original(picture, stops, AppleGainMap(LOG2_SCALE), MetadataSource.APPLE, None, ())
    floor = max(float(row["log2_gain_floor"]), 0.0)
    return Photo(str(row["id"]), int(row["capture_group"]), start(picture, stops, floor), original, floor)


def score(photo: Photo, edit: Edit, predictor: Predictor, lut: Stops) -> Figures:
    """Every figure of one edit; without an accepted alignment the network alone is what comes out."""
    size = map_size_of(edit.image.shape[1], edit.image.shape[0])
    truth, changed = (_sized(plane, size) for plane in (edit.truth, edit.changed))
    small = np.asarray(cv2.resize(edit.image, size, interpolation=cv2.INTER_AREA), np.uint8)
    weight = luminance(srgb_to_linear(small.astype(np.float32) / 255))
    network = predictor.predict(edit.image, size)
    found = align(photo.original.picture, edit.image)
    figures = {"accepted": float(found is not None and found.accepted)}
    stops = network
    if found is not None and found.accepted:
        joined = join(photo.original, found, edit.image, network)
        stops = joined.stops
        figures["align_px"] = _apart(found, photo, edit)
        if (changed > 0.5).mean() > LEAST_EDITED:
            figures["iou"] = _iou(joined.mask > 0.5, changed > 0.5)
        figures["relit"] = float(joined.guided.reason is not None)
        for name, value in (("expected", joined.guided.expected_error_stops),
                            ("predicted_error", joined.guided.predicted_error_stops)):  # fmt: skip
            if value is not None:
                figures[name] = value
    error = np.abs(stops - truth)
    figures |= {"guided": float(error.mean()), "guided_lw": _weighted(error, weight)}
    figures["unedited"] = float(error[changed < 0.01].mean()) if (changed < 0.01).any() else np.nan
    if (changed > 0.99).mean() > LEAST_EDITED:
        figures["edited"] = float(error[changed > 0.99].mean())
    apart = np.abs(network - truth)
    figures |= {"network": float(apart.mean()), "network_lw": _weighted(apart, weight)}
    figures["network_floor"] = float(np.abs(network + photo.floor - truth).mean())
    figures["lut_floor"] = float(np.abs(lut[bin_of(small)] + photo.floor - truth).mean())
    figures["stale"] = float(np.abs(_stale(photo, edit, size) - truth).mean())
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def evaluate(folder: Path, lut: Stops, predictor: Predictor, count: int, wrong: int) -> dict[str, Any]:
    """Edits of every kind on `count` photos each, `wrong` pairs of unrelated photos, and neighbours of a burst."""
    photos = [load(folder, row) for row in read_index(folder)]
    rng = np.random.default_rng(7)
    table: dict[str, list[Figures]] = defaultdict(list)
    for kind, step in KINDS.items():
        for photo in (photos[i] for i in rng.choice(len(photos), min(count, len(photos)), replace=False)):
            donor = _other(photos, photo, rng)
            table[kind].append(score(photo, step(photo.edit, donor.edit, rng), predictor, lut))
    false = 0
    for _ in range(wrong):
        photo = photos[int(rng.integers(len(photos)))]
        donor = _other(photos, photo, rng)
        # What is pasted in comes from a third photo: a piece of the original would rightly be found.
        third = _other([other for other in photos if other.group != photo.group], donor, rng)
        edit = donor.edit if rng.random() < 0.5 else KINDS["mixture"](donor.edit, third.edit, rng)
        found = align(photo.original.picture, edit.image)
        false += found is not None and found.accepted
    for photo, next_one in _neighbours(photos, count):
        table["neighbour"].append(score(photo, next_one.edit, predictor, lut))
    return {
        "kinds": {kind: _means(rows) for kind, rows in table.items()},
        "wrong": {"pairs": wrong, "accepted": int(false)},
    }


def _other(photos: list[Photo], photo: Photo, rng: np.random.Generator) -> Photo:
    apart = [other for other in photos if other.group != photo.group]
    return apart[int(rng.integers(len(apart)))]


def _neighbours(photos: list[Photo], count: int) -> Iterator[tuple[Photo, Photo]]:
    pairs = [(a, b) for i, a in enumerate(photos) for b in photos[i + 1 : i + 3] if a.group == b.group]
    yield from pairs[:: max(1, len(pairs) // count)][:count]


def _sized(plane: Stops, size: tuple[int, int]) -> Stops:
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _weighted(error: Stops, weight: Stops) -> float:
    return float((error * weight).sum() / max(float(weight.sum()), 1e-6))


def _stale(photo: Photo, edit: Edit, size: tuple[int, int]) -> Stops:
    wide = (edit.image.shape[1], edit.image.shape[0])
    dragged = cv2.warpPerspective(photo.edit.truth, edit.matrix, wide, flags=cv2.INTER_LINEAR,
                                  borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    return _sized(np.asarray(dragged, np.float32), size)


def _apart(found: Alignment, photo: Photo, edit: Edit) -> float:
    """Mean distance, in pixels of the edit, between where points lie and where the fit puts them."""
    height, width = photo.original.picture.shape[:2]
    tall, wide = edit.image.shape[:2]
    grid = np.array([(x, y, 1) for x in np.linspace(0, width - 1, 9) for y in np.linspace(0, height - 1, 9)])
    places = [points[:, :2] / points[:, 2:] for points in (
        grid @ edit.matrix.T, grid @ found.pixels((width, height), (wide, tall)).T)]  # fmt: skip
    inside = ((places[0] >= 0) & (places[0] < (wide, tall))).all(axis=1)
    return float(np.linalg.norm(places[0] - places[1], axis=1)[inside].mean()) if inside.any() else np.nan


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max(int((a | b).sum()), 1))


def _means(rows: list[Figures]) -> Figures:
    names = {name for row in rows for name in row}
    means = {name: float(np.mean([row[name] for row in rows if name in row])) for name in sorted(names)}
    return {"photos": float(len(rows)), **means}


def drawn(result: dict[str, Any]) -> Table:
    """The table by kind, for people."""
    table = Table(title="guided restoration, errors in stops")
    table.add_column("kind")
    for column in COLUMNS:
        table.add_column(column.replace("_", " "), justify="right")
    for kind, figures in result["kinds"].items():
        cells = [figures.get(column) for column in COLUMNS]
        table.add_row(kind, *("" if cell is None else f"{cell:.3f}".removesuffix(".000") for cell in cells))
    return table


def main() -> None:
    """Read the command line, score, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fit", type=Path, required=True)
    parser.add_argument("--count", type=int, default=12, help="photos of each kind")
    parser.add_argument("--wrong", type=int, default=200, help="pairs of unrelated photos")
    parser.add_argument("--json", type=Path, dest="json_path")
    args = parser.parse_args()
    settings = load_settings()
    predictor = make_predictor(find_model(settings.model, settings.models_dir), settings.threads)
    lut = fit(load_pairs(args.fit)).medians
    result = evaluate(args.data, lut, predictor, args.count, args.wrong)
    console = Console(width=200)
    console.print(drawn(result))
    console.print(f"wrong originals accepted: {result['wrong']['accepted']} of {result['wrong']['pairs']}")
    if args.json_path is not None:
        args.json_path.parent.mkdir(parents=True, exist_ok=True)
        args.json_path.write_text(json.dumps({"model": predictor.name, **result}, indent=1))


if __name__ == "__main__":
    main()
