"""From weights to ONNX graphs: `python -m models.export --kind gmnet --weights FILE --out DIR`.

GMNet becomes `global.onnx` (once a photo) and `local.onnx` (over tiles); the compact model one `curves.onnx`.
"""

import argparse
import json
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from models.compact import CompactNet
from models.gmnet import KERNEL, THUMBNAIL, GMNet

OPSET: Final = 17
GRID: Final = THUMBNAIL // 4  # pixels per side of the features that the heads pool


class ConstantPool(nn.Module):
    """Adaptive average pooling of a GRID x GRID plane as a product with a constant matrix.

    The exporter has no adaptive pooling whose bins overlap (64 into 3: 0..22, 21..43, 42..64).
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        rows = torch.zeros(size, GRID)
        for i in range(size):
            start, stop = i * GRID // size, -(-(i + 1) * GRID // size)
            rows[i, start:stop] = 1 / (stop - start)
        self.register_buffer("rows", rows)
        self.rows: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return self.rows @ x @ self.rows.T


class GlobalGraph(nn.Module):
    """The global branch with pooling that exports."""

    def __init__(self, net: GMNet) -> None:
        super().__init__()
        self.net = net
        for head, size in ((net.sq_ker, KERNEL), (net.sq_chn, 1), (net.sq_qmax, 1)):
            setattr(head, "pool", ConstantPool(size))  # noqa: B010  (declared as adaptive pooling)

    def forward(self, thumbnail: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.net.global_branch(thumbnail)


class LocalGraph(nn.Module):
    """The local branch; kernel and attention are run-time inputs."""

    def __init__(self, net: GMNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, kernel: Tensor, attention: Tensor) -> Tensor:
        return self.net.local_branch(image, kernel, attention)


class CurvesGraph(nn.Module):
    """The compact model's network without its slicing, which is plain arithmetic."""

    def __init__(self, net: CompactNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        return self.net.curves(image)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Weights alone, from a checkpoint (.pt, .pth: no pickled code is run) or from arrays (.npz)."""
    if path.suffix == ".npz":
        with np.load(path) as stored:
            return {key: torch.from_numpy(np.asarray(value)) for key, value in stored.items()}
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def widths(state: dict[str, Tensor]) -> tuple[int, int]:
    """Features and blocks a stage of a GMNet checkpoint.

    Raises:
        KeyError: the checkpoint is no GMNet.
    """
    features = state["down_x.conv.0.weight"].shape[0]
    blocks = len({key.split(".")[1] for key in state if key.startswith("res1.")})
    return features, blocks


def export_gmnet(state: dict[str, Tensor], out: Path) -> list[Path]:
    """Write `global.onnx` and `local.onnx` into `out`.

    Raises:
        KeyError, RuntimeError: the state is not one of a GMNet.
    """
    net = GMNet(*widths(state)).eval()
    net.load_state_dict(state)
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / "global.onnx", out / "local.onnx"]
    thumbnail = torch.zeros(1, 3, THUMBNAIL, THUMBNAIL)
    local = LocalGraph(net)
    kernel, attention, _ = net.global_branch(thumbnail)
    _write(local, (torch.zeros(1, 3, 64, 64), kernel, attention), paths[1], ["image", "kernel", "attention"], ["map"])
    _write(GlobalGraph(net), (thumbnail,), paths[0], ["thumbnail"], ["kernel", "attention", "qmax"])
    return paths


def export_compact(state: dict[str, Tensor], out: Path) -> list[Path]:
    """Write `curves.onnx` into `out`.

    Raises:
        RuntimeError: the state is not one of a compact model.
    """
    net = CompactNet().eval()
    net.load_state_dict(state)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "curves.onnx"
    _write(CurvesGraph(net), (torch.zeros(1, 3, 64, 64),), path, ["image"], ["curves"])
    return [path]


def _write(graph: nn.Module, args: tuple[Tensor, ...], path: Path, inputs: list[str], outputs: list[str]) -> None:
    spatial = {2: "height", 3: "width"}
    torch.onnx.export(
        graph.eval(),
        args,
        str(path),
        dynamo=False,
        opset_version=OPSET,
        input_names=inputs,
        output_names=outputs,
        dynamic_axes={name: spatial for name in [*inputs, *outputs] if name in {"image", "map", "curves"}},
    )


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=["gmnet", "compact"], required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    state = load_weights(args.weights)
    export = export_gmnet if args.kind == "gmnet" else export_compact
    print(json.dumps([str(path) for path in export(state, args.out)]))  # noqa: T201


if __name__ == "__main__":
    main()
