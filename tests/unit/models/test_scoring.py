"""The score as the data's README defines it, the baselines, and the whole way from a folder to JSON."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.training.baselines import fit
from models.training.pairs import load_pairs, lw_mae
from models.training.quality import pq, pq_psnr, pu21, ssim
from shared.imaging.colour import luminance, srgb_to_linear

ROOT = Path(__file__).parents[3]


def make_folder(folder: Path, count: int = 4) -> Path:
    """Pairs whose gain is a clean function of brightness: everything above middle grey shines."""
    folder.mkdir(parents=True)
    lines = []
    for number in range(count):
        rng = np.random.default_rng(number)
        grey = np.asarray(cv2.resize(rng.random((6, 8)), (128, 96), interpolation=cv2.INTER_LINEAR) * 255, np.uint8)
        cv2.imwrite(
            str(folder / f"{number}.sdr.jpg"), np.repeat(grey[:, :, None], 3, 2), [cv2.IMWRITE_JPEG_QUALITY, 98]
        )
        small = cv2.resize(grey, (64, 48), interpolation=cv2.INTER_AREA).astype(np.float32)
        stops = np.where(small > 128, (small - 128) / 127 * 2, 0)
        sample = np.asarray((stops + 0.5) / 4.5 * 255 + 0.5, np.uint8)
        cv2.imwrite(str(folder / f"{number}.log2gain.jpg"), sample, [cv2.IMWRITE_JPEG_QUALITY, 98])
        row = {"id": str(number), "source": f"s{number % 2}", "vendor": "Test", "apple_gain_map_version": None,
               "gain_map_encoding": "jpeg-iso", "log2_gain_floor": 0.0}  # fmt: skip
        lines.append(json.dumps(row))
    (folder / "index.jsonl").write_text("\n".join(lines))
    return folder


def test_score_is_luminance_weighted(tmp_path: Path) -> None:
    pair = load_pairs(make_folder(tmp_path / "a", 1))[0]
    assert lw_mae(pair.target, pair) == 0
    assert lw_mae(pair.target + 0.25, pair) == pytest.approx(0.25, abs=1e-6)
    small = cv2.resize(pair.sdr, (64, 48), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    light = luminance(srgb_to_linear(small))
    dark_half = np.where(light < np.median(light), 1.0, 0.0).astype(np.float32)
    expected = float((light * dark_half).sum() / light.sum())
    assert lw_mae(pair.target + dark_half, pair) == pytest.approx(expected, rel=1e-4)
    assert expected < 0.3


def test_table_finds_a_curve_and_constants_do_not(tmp_path: Path) -> None:
    pairs = load_pairs(make_folder(tmp_path / "a"))
    named = fit(pairs).named()
    scores = {name: np.mean([lw_mae(make(pair), pair) for pair in pairs]) for name, make in named.items()}
    assert scores["lut"] < 0.05 < scores["constant"] < scores["zero"]


@pytest.mark.parametrize(
    ("nits", "expected"), [(0.0, 0.0), (100.0, 0.508), (203.0, 0.5806), (1000.0, 0.7518), (10_000.0, 1.0)]
)
def test_pq_by_its_known_points(nits: float, expected: float) -> None:
    assert float(pq(np.array([nits]))[0]) == pytest.approx(expected, abs=5e-4)


def test_pu21_by_its_definition() -> None:
    """100 cd/m2 is 256 units, and the curve begins at 0."""
    assert float(pu21(np.array([100.0]))[0]) == pytest.approx(256, abs=1.0)
    assert float(pu21(np.array([0.005]))[0]) == pytest.approx(0, abs=0.5)


def test_quality_falls_with_the_error() -> None:
    truth = np.full((32, 32, 3), 0.5, np.float32)
    assert pq_psnr(truth * 1.01, truth) > pq_psnr(truth * 1.2, truth)
    ramp = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (32, 1))
    assert ssim(ramp, ramp) == pytest.approx(1.0)
    assert ssim(ramp, ramp[:, ::-1]) < 0.5


def test_command_writes_what_others_read(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "val")
    report = tmp_path / "deep" / "report.json"
    command = [
        sys.executable,
        "-m",
        "models.evaluate",
        "--data",
        data,
        "--fit",
        data,
        "--model",
        "naive",
        "--json",
        report,
    ]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    result = json.loads(report.read_text())
    keys = {"photos", "lw_mae", "lut_lw_mae", "zero_lw_mae", "mae", "rmse", "pq_psnr", "wins_over_lut", "bias"}
    assert keys <= result.keys()
    assert result["photos"] == 4
    # The naive stretch of 2 stops above half luma is nearly this folder's truth.
    assert result["lw_mae"] < 0.06 < result["zero_lw_mae"]


@pytest.mark.pairs
def test_baselines_are_those_of_the_data(pairs: Path) -> None:
    """The figures that the data's README gives, by our code."""
    named = fit(load_pairs(pairs / "train")).named()
    val = load_pairs(pairs / "val")
    scores = {name: float(np.mean([lw_mae(named[name](pair), pair) for pair in val])) for name in ("zero", "lut")}
    assert scores["zero"] == pytest.approx(0.252, abs=0.002)
    assert scores["lut"] == pytest.approx(0.179, abs=0.003)
