"""Make the 8-bit graph of a published model: `python -m models.quantise --name NAME --data TRAIN`.

Convolutions alone, calibrated on real photos: activations unsigned (symmetric ones are twice as slow in ONNX
Runtime), weights signed, one scale a channel and 7 bits, since CPUs without VNNI would overflow with 8. The global
branch of GMNet is left as it is: it is a small part of the work and decides a photo's peak.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from models.publish import rehash
from models.training.pairs import load_pair, read_index
from shared.registry import MANIFEST, Model, ModelKind, find_model, sha256_of
from worker.predictors.compact import small_copy
from worker.predictors.engine import GraphEngine
from worker.predictors.gmnet import thumbnail_of
from worker.predictors.graph import planes

HERE: Final = Path(__file__).parent
PHOTOS: Final = 28  # spread over the training photos: ranges hardly change with more

Feeds = dict[str, NDArray[np.float32]]


class _Photos(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feeds: Iterator[Feeds]) -> None:
        self._feeds = feeds

    def get_next(self) -> Feeds | None:
        return next(self._feeds, None)


def feeds_of(model: Model, folder: Path) -> Iterator[Feeds]:
    """What the graph to be made sees of PHOTOS photos.

    Raises:
        FileNotFoundError: the folder has no index, or a picture is missing.
    """
    rows = read_index(folder)
    engine = GraphEngine(model, 0) if model.kind is ModelKind.GMNET else None
    for row in rows[:: max(1, len(rows) // PHOTOS)]:
        small = small_copy(load_pair(folder, row).sdr, model.long_side)
        feeds: Feeds = {"image": planes(small)}
        if engine is not None:
            kernel, attention, _ = engine.global_branch(planes(thumbnail_of(small)))
            feeds |= {"kernel": kernel, "attention": attention}
        yield feeds


def quantise(model: Model, folder: Path, target: Path) -> Path:
    """Write `ROLE_int8.onnx` of a model's main graph into `target`."""
    role = "local" if model.kind is ModelKind.GMNET else "curves"
    path = target / f"{role}_int8.onnx"
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(str(model.verified(role)), str(prepared), skip_symbolic_shape=True)
        options: dict[str, Any] = {"op_types_to_quantize": ["Conv"], "per_channel": True, "reduce_range": True}
        quantize_static(
            str(prepared),
            str(path),
            _Photos(feeds_of(model, folder)),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            **options,
        )
    return path


def main() -> None:
    """Read the command line, quantise, and write the hash into the manifest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the training pairs")
    args = parser.parse_args()
    path = quantise(find_model(args.name, HERE), args.data, HERE / "weights" / args.name)
    manifest = HERE / MANIFEST
    text = rehash(manifest.read_text(encoding="utf-8"), args.name, {path.stem: sha256_of(path)})
    manifest.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
