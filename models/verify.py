"""Prove every port of GMNet against the torch reference: `python -m models.verify [--weights FILE]`.

Four synthetic pictures; ONNX Runtime whole, ONNX Runtime tiled and tinygrad, each at 110 dB or more.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from models.export import export_gmnet, load_weights, widths
from models.gmnet import GMNet
from models.tinygrad_backend import TinyGMNet
from models.training.quality import ssim
from shared.registry import Model, ModelFile, ModelKind, sha256_of
from worker.predictors.engine import GraphEngine
from worker.predictors.gmnet import GMNetPredictor, thumbnail_of
from worker.predictors.graph import planes

LEAST: Final = 110.0  # dB
SIDE: Final = (192, 256)  # pixels, (height, width)
SMALL_TILE: Final = 64  # pixels: tiles so small that every picture has several

Array = NDArray[np.float32]
Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Parity:
    """One port on one picture, against torch; PSNR in dB with a peak of 1."""

    port: str
    picture: str
    psnr: float
    ssim: float
    largest: float
    close: bool


def pictures() -> dict[str, Image]:
    """A gradient, a checkerboard, noise, and lamps on black; the same at every call."""
    height, width = SIDE
    y, x = np.mgrid[0:height, 0:width]
    rng = np.random.default_rng(7)
    gradient = np.stack([x * 255 / width, y * 255 / height, (x + y) * 255 / (width + height)], 2)
    checker = np.repeat((((x // 16 + y // 16) % 2) * 255)[:, :, None], 3, 2)
    lamps = np.zeros((height, width, 3))
    for row, column, radius in ((40, 60, 9), (120, 200, 20), (150, 40, 4)):
        lamps[(y - row) ** 2 + (x - column) ** 2 < radius**2] = (255, 244, 214)
    named = {"gradient": gradient, "checkerboard": checker, "noise": rng.integers(0, 256, (height, width, 3))}
    return {name: np.asarray(image, np.uint8) for name, image in {**named, "lamps": lamps}.items()}


def reference(net: GMNet, image: Image) -> tuple[Array, float]:
    """The torch network's normalised map (H, W) and qmax."""
    with torch.no_grad():
        out, _ = net(torch.from_numpy(planes(image)), torch.from_numpy(planes(thumbnail_of(image))))
        qmax = net.global_branch(torch.from_numpy(planes(thumbnail_of(image))))[2]
    return out[0, 0].numpy(), float(qmax)


def ports(state: dict[str, torch.Tensor], folder: Path) -> dict[str, Callable[[Image], tuple[Array, float]]]:
    """Every port as a function from a picture to the normalised map and qmax."""
    files = {path.stem: ModelFile(path, sha256_of(path)) for path in export_gmnet(state, folder)}
    model = Model("verified", ModelKind.GMNET, files, 1.0, max(SIDE), None, "", "", default=False)
    onnx = GMNetPredictor(model, GraphEngine(model, 0), None)
    tiny = GMNetPredictor(model, TinyGMNet({key: value.numpy() for key, value in state.items()}), None)
    return {
        "onnxruntime": onnx.normalised,
        "onnxruntime tiled": lambda image: onnx.normalised(image, tile=SMALL_TILE),
        "tinygrad": tiny.normalised,
    }


def compare(port: str, picture: str, truth: Array, found: Array) -> Parity:
    """Figures of one port on one picture."""
    mse = float(((truth.astype(np.float64) - found) ** 2).mean())
    return Parity(
        port,
        picture,
        psnr=float(10 * np.log10(1 / max(mse, 1e-30))),
        ssim=ssim(truth, found),
        largest=float(np.abs(truth - found).max()),
        close=bool(np.allclose(truth, found, rtol=1e-4, atol=1e-5)),
    )


def verify(state: dict[str, torch.Tensor]) -> list[Parity]:
    """Run every port on every picture."""
    net = GMNet(*widths(state)).eval()
    net.load_state_dict(state)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for port, run in ports(state, Path(folder)).items():
            for name, image in pictures().items():
                truth, qmax = reference(net, image)
                found, found_qmax = run(image)
                results.append(compare(port, name, truth, found))
                results.append(
                    compare(
                        f"{port}, qmax",
                        name,
                        np.full((1, 1), qmax, np.float32),
                        np.full((1, 1), found_qmax, np.float32),
                    )
                )
    return results


def main() -> None:
    """Read the command line, verify, print; exit 1 below LEAST."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path(__file__).parent / "weights" / "gmnet" / "weights.npz")
    state = load_weights(parser.parse_args().weights)
    results = verify(state)
    table = Table("port", "picture", "PSNR dB", "SSIM", "largest", "allclose")
    for row in results:
        table.add_row(row.port, row.picture, f"{row.psnr:.1f}", f"{row.ssim:.7f}", f"{row.largest:.1e}", str(row.close))
    Console().print(table)
    worst = min(row.psnr for row in results)
    Console().print(f"worst {worst:.1f} dB; at least {LEAST:g} asked")
    sys.exit(0 if worst >= LEAST else 1)


if __name__ == "__main__":
    main()
