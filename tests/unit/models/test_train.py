"""The training loop as it is run: a few steps, a checkpoint, and on from there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.export import load_weights, widths
from models.gmnet import GMNet, initialise
from models.training.widen import widen
from tests.unit.models.test_scoring import make_folder

ROOT = Path(__file__).parents[3]


def train(data: Path, out: Path, model: str, steps: int, *more: str) -> None:
    """Run the command; small pictures, two a step."""
    command = [sys.executable, "-m", "models.train", "--data", str(data), "--out", str(out), "--model", model]
    command += ["--steps", str(steps), "--every", "2", "--size", "64", "--batch", "2", "--threads", "1", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("model", ["gmnet8b1", "compact"])
def test_a_run_goes_on_from_its_checkpoint(model: str, tmp_path: Path) -> None:
    make_folder(tmp_path / "data" / "train")
    make_folder(tmp_path / "data" / "val", 2)
    out = tmp_path / "run"
    train(tmp_path / "data", out, model, 2)
    first = torch.load(out / "last.pt", weights_only=True)
    train(tmp_path / "data", out, model, 4)
    scores = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    assert [row["step"] for row in scores] == [2, 4]
    assert all(0 < row["lw_mae"] < 3 for row in scores)
    assert json.loads((out / "config.json").read_text())["steps"] == 4
    last = torch.load(out / "last.pt", weights_only=True)
    assert (first["step"], last["step"]) == (2, 4)
    moved = [key for key, value in last["net"].items() if not torch.equal(value, first["net"][key])]
    assert moved


def test_a_run_starts_from_committed_weights(tmp_path: Path) -> None:
    make_folder(tmp_path / "data" / "train")
    make_folder(tmp_path / "data" / "val", 2)
    shipped = ROOT / "models" / "weights" / "gmnet" / "weights.npz"
    features, blocks = widths(load_weights(shipped))
    train(tmp_path / "data", tmp_path / "run", f"gmnet{features}b{blocks}", 2, "--init", str(shipped), "--rate", "0")
    kept, original = load_weights(tmp_path / "run" / "average.pt"), load_weights(shipped)
    assert all(torch.allclose(kept[key], original[key]) for key in original)


def test_a_run_whose_minutes_end_keeps_its_last_steps(tmp_path: Path) -> None:
    make_folder(tmp_path / "data" / "train")
    make_folder(tmp_path / "data" / "val", 2)
    train(tmp_path / "data", tmp_path / "run", "gmnet8b1", 100_000, "--every", "100000", "--minutes", "0.005")
    assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["step"] > 0
    assert (tmp_path / "run" / "best.pt").is_file()


def test_a_wider_network_starts_as_the_same_function() -> None:
    torch.manual_seed(5)
    narrow, wide = GMNet(8, 1), GMNet(16, 2)
    for net in (narrow, wide):
        initialise(net, mean_map=0.3, mean_qmax=0.4)
    for parameter in narrow.parameters():  # lively everywhere, as after training
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    widen(narrow.state_dict(), wide)
    image, thumbnail = torch.rand(2, 3, 48, 64), torch.rand(2, 3, 256, 256)
    with torch.no_grad():
        expected, found = narrow(image, thumbnail), wide(image, thumbnail)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(expected, found, strict=True))
    loss = wide(image, thumbnail)[1].square().mean()
    loss.backward()
    first, copy = wide.conv_last.weight.grad[0].chunk(2)  # type: ignore[index]
    halves = wide.HRconv.weight.grad.chunk(2)  # type: ignore[union-attr]
    assert torch.allclose(first, copy)  # equal as yet,
    assert not torch.allclose(*halves)  # but not for long: what leads to them is pulled differently
    with pytest.raises(ValueError, match="half the features"):
        widen(narrow.state_dict(), GMNet(12, 1))
