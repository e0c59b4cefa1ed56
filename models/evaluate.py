"""Score a model on a folder of pairs, through the product's own code, JPEG map and all.

`python -m models.evaluate --data DIR --fit DIR [--model NAME] --json FILE`: DIR holds `index.jsonl` and the
pictures; `--fit` names where the baselines are fitted.
"""

import argparse
import io
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from models.training.baselines import fit
from models.training.pairs import TARGET_MAX, Pair, load_pair, load_pairs, lw_mae, read_index
from models.training.quality import pq_psnr, pu21_psnr
from shared.imaging.colour import srgb_to_linear
from shared.imaging.gain_map import log2_gain
from shared.options import Options
from shared.registry import find_model
from shared.settings import load_settings
from worker.pipeline import encode
from worker.predictors import Predictor, make_predictor

BRIGHTNESS = ((0.05, "dark"), (0.15, "dim"), (0.3, "middle"), (1.01, "bright"))  # mean linear luminance below

Stops = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Row:
    """One photo's figures: errors in stops, quality in dB, `groups` by kind of grouping."""

    name: str
    scores: dict[str, float]
    groups: dict[str, str]


def predict(predictor: Predictor, pair: Pair) -> tuple[Stops, float]:
    """What a reader of our file would compute: the map (h, w) in stops, and its peak."""
    height, width = pair.target.shape
    stops = predictor.predict(pair.sdr, (width, height))
    jpeg, metadata = encode(stops, 1, Options())
    with Image.open(io.BytesIO(jpeg)) as coded:
        samples = np.asarray(coded.convert("L"))
    return log2_gain(samples, metadata), float(metadata.gain_map_max[0])


def measure(pair: Pair, predicted: Stops, baselines: dict[str, Stops], peak: float) -> Row:
    """Every figure of one photo."""
    linear = srgb_to_linear(pair.small.astype(np.float32) / 255)
    truth = linear * np.exp2(pair.target)[:, :, None]
    shown = linear * np.exp2(predicted)[:, :, None]
    error = predicted - pair.target
    weight = pair.weight
    scores = {
        "lw_mae": lw_mae(predicted, pair),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "bias": float((weight * error).sum() / weight.sum()),
        "pq_psnr": pq_psnr(shown, truth),
        "pu21_psnr": pu21_psnr(shown, truth),
        "qmax_error": abs(peak - float(np.quantile(pair.target, 0.999))),
    }
    for name, stops in baselines.items():
        scores[f"{name}_lw_mae"] = lw_mae(stops, pair)
        scores[f"{name}_pq_psnr"] = pq_psnr(linear * np.exp2(stops)[:, :, None], truth)
    brightness = float(weight.mean())
    generation = pair.row.get("apple_gain_map_version")
    groups = {
        "vendor": str(pair.row.get("vendor", "unknown")),
        "generation": f"Apple {generation}" if generation else str(pair.row.get("gain_map_encoding", "unknown")),
        "brightness": next(name for limit, name in BRIGHTNESS if brightness < limit),
    }
    return Row(pair.name, scores, groups)


def summarise(rows: list[Row]) -> dict[str, Any]:
    """Means over photos, the share of photos on which the model beats the table, and figures by group."""
    mean = {key: float(np.mean([row.scores[key] for row in rows])) for key in rows[0].scores}
    wins = float(np.mean([row.scores["lw_mae"] < row.scores["lut_lw_mae"] for row in rows]))
    groups: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for kind, name in row.groups.items():
            groups[kind][name].append(row)
    return {
        "photos": len(rows),
        **mean,
        "ratio_to_lut": mean["lw_mae"] / mean["lut_lw_mae"],
        "wins_over_lut": wins,
        "groups": {
            kind: {
                name: {"photos": len(members), **{k: float(np.mean([m.scores[k] for m in members])) for k in SHOWN}}
                for name, members in sorted(table.items())
            }
            for kind, table in groups.items()
        },
        "rows": [{"id": row.name, **{k: round(v, 5) for k, v in row.scores.items()}} for row in rows],
    }


SHOWN = ("lw_mae", "lut_lw_mae", "zero_lw_mae", "mae", "rmse", "bias", "pq_psnr")


def evaluate(data: Path, fit_folder: Path, predictor: Predictor, pictures: Path | None = None) -> dict[str, Any]:
    """Score a predictor on every pair of a folder.

    Raises:
        FileNotFoundError: a folder has no index, or a picture is missing.
    """
    named = fit(load_pairs(fit_folder)).named()
    rows = []
    for pair in (load_pair(data, row) for row in read_index(data)):
        predicted, peak = predict(predictor, pair)
        rows.append(measure(pair, predicted, {name: make(pair) for name, make in named.items()}, peak))
        if pictures is not None:
            draw(pictures / f"{rows[-1].scores['lw_mae']:.3f}-{pair.name}.png", pair, predicted)
    return summarise(rows)


def draw(path: Path, pair: Pair, predicted: Stops) -> None:
    """Photo, true map and predicted map side by side; for an ignored folder only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    maps = [np.asarray(np.clip(stops / TARGET_MAX, 0, 1) * 255, np.uint8) for stops in (pair.target, predicted)]
    coloured = [cv2.applyColorMap(plane, cv2.COLORMAP_INFERNO) for plane in maps]
    cv2.imwrite(str(path), np.hstack([pair.small[:, :, ::-1], *coloured]))


def tables(result: dict[str, Any], title: str) -> Iterable[Table]:
    """The result as tables for people."""
    overall = Table(title=f"{title}: {result['photos']} photos")
    for column in ("", "LW-MAE", "PQ-PSNR"):
        overall.add_column(column, justify="left" if not column else "right")
    overall.add_row("model", f"{result['lw_mae']:.4f}", f"{result['pq_psnr']:.1f}")
    for name in ("zero", "constant", "lut_mean", "lut", "naive"):
        overall.add_row(name, f"{result[f'{name}_lw_mae']:.4f}", f"{result[f'{name}_pq_psnr']:.1f}")
    yield overall
    for kind, table in result["groups"].items():
        grouped = Table(title=f"by {kind}")
        for column in (kind, "photos", *SHOWN):
            grouped.add_column(column, justify="right" if column != kind else "left")
        for name, figures in table.items():
            grouped.add_row(name, str(figures["photos"]), *(f"{figures[key]:.3f}" for key in SHOWN))
        yield grouped


def main() -> None:
    """Read the command line, score, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fit", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--long-side", type=int)
    parser.add_argument("--json", type=Path, dest="json_path")
    parser.add_argument("--pictures", type=Path, help="folder for comparison pictures (keep it ignored)")
    args = parser.parse_args()
    settings = load_settings()
    model = find_model(args.model or settings.model, settings.models_dir)
    long_side = args.long_side or settings.network_long_side
    predictor = make_predictor(model, settings.threads, long_side, settings.backend)
    result = evaluate(args.data, args.fit, predictor, args.pictures)
    console = Console()
    for table in tables(result, model.name):
        console.print(table)
    console.print(
        f"LW-MAE {result['lw_mae']:.4f}, {result['ratio_to_lut']:.3f} of the median table's; "
        f"better than it on {result['wins_over_lut']:.0%} of photos; bias {result['bias']:+.3f} stops"
    )
    if args.json_path is not None:
        args.json_path.parent.mkdir(parents=True, exist_ok=True)
        args.json_path.write_text(json.dumps({"model": model.name, **result}, indent=1))


if __name__ == "__main__":
    main()
