"""One measurement in a process of its own: `python -m bench.child KIND …` prints one JSON object.

CPU time is the process's own, peak memory the kernel's `VmHWM`; everything runs on one thread unless said.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import psutil

FULL: Final = "gmnet-full"  # the authors' size: 64 channels, 5 blocks a stage
SCALE: Final = 0.5  # of the photo's sides, as the authors' real-world weights see it
MAC_PER_PIXEL: Final = 379_152  # of the full network's local branch
CONV: Final = (64, 256)  # channels, and pixels a side, of the convolution that stands for the machine's limit


def peak_mb() -> float:
    """The process's largest memory so far, in MiB; `ru_maxrss` would begin with its parent's."""
    return _status_mb("VmHWM")


def cpu(work: Callable[[], Any]) -> float:
    """CPU seconds of one call."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def job(photo: Path, model: str, backend: str, models: Path, repeat: int) -> dict[str, Any]:
    """A whole job as a worker runs it: the first one cold, then `repeat` warm ones, by stage."""
    import boto3  # noqa: F401, PLC0415  (a worker holds these too: they belong to its memory)
    import celery  # noqa: F401, PLC0415
    import sqlalchemy  # noqa: F401, PLC0415

    from shared.options import Options  # noqa: PLC0415
    from shared.registry import find_model  # noqa: PLC0415
    from shared.settings import Backend  # noqa: PLC0415
    from worker import pipeline  # noqa: PLC0415
    from worker.predictors import make_predictor  # noqa: PLC0415

    data = photo.read_bytes()
    idle = peak_mb()
    predictor = make_predictor(find_model(model, models), 1, None, Backend(backend))

    def measured() -> tuple[float, dict[str, float]]:
        marks: list[tuple[str, float]] = []
        begun = time.process_time()
        pipeline.restore(
            data,
            predictor,
            Options(replace=True),
            lambda stage: marks.append((stage.value, time.process_time())),
        )
        ends = [at for _, at in marks[1:]] + [time.process_time()]
        return ends[-1] - begun, {name: end - at for (name, at), end in zip(marks, ends, strict=True)}

    first = measured()
    cold, cold_wall = time.process_time(), time.time() - psutil.Process().create_time()
    # What takes half a minute is not run again to be warm: its start is nothing beside it.
    runs = [measured() for _ in range(repeat)] or [first]
    stages = [found for _, found in runs]
    return {
        "cold_cpu": cold,
        "cold_wall": cold_wall,
        "cpu": float(np.median([took for took, _ in runs])),
        "stages": {name: float(np.median([row[name] for row in stages])) for name in stages[0]},
        "idle_mb": idle,
        "peak_mb": peak_mb(),
    }


def network(photo: Path, model: str, backend: str, models: Path, repeat: int) -> dict[str, Any]:
    """The network's own parts: thumbnail, global branch, local branch, enlarging; for GMNet alone."""
    from shared.imaging.decode import upright_srgb  # noqa: PLC0415
    from shared.imaging.photo import open_photo  # noqa: PLC0415
    from shared.imaging.upsample import guided_upsample  # noqa: PLC0415
    from shared.registry import find_model  # noqa: PLC0415
    from shared.settings import Backend  # noqa: PLC0415
    from worker.pipeline import map_size_of, upright_size  # noqa: PLC0415
    from worker.predictors import gmnet  # noqa: PLC0415
    from worker.predictors.engine import make_engine  # noqa: PLC0415
    from worker.predictors.graph import planes  # noqa: PLC0415

    opened = open_photo(photo.read_bytes())
    entry = find_model(model, models)
    engine = make_engine(entry, 1, Backend(backend))
    predictor = gmnet.GMNetPredictor(entry, engine, None)
    size = map_size_of(*upright_size(opened))
    seen = predictor.input_size(*upright_size(opened))
    image = upright_srgb(opened, max(size, seen))
    small = np.asarray(cv2.resize(image, seen, interpolation=cv2.INTER_AREA), np.uint8)
    luma = np.asarray(cv2.cvtColor(cv2.resize(image, size), cv2.COLOR_RGB2GRAY), np.uint8)
    thumbnail = planes(gmnet.thumbnail_of(small))
    stops = predictor.network(small)
    parts: dict[str, Callable[[], Any]] = {
        "resize": lambda: cv2.resize(image, seen, interpolation=cv2.INTER_AREA),
        "thumbnail": lambda: planes(gmnet.thumbnail_of(small)),
        "global": lambda: engine.global_branch(thumbnail),
        "network": lambda: predictor.network(small),
        "upsample": lambda: guided_upsample(stops, luma, gmnet.GUIDE_RADIUS, gmnet.GUIDE_EPSILON),
    }
    return {"parts": {name: float(np.median([cpu(work) for _ in range(repeat)])) for name, work in parts.items()}}


def reference(photo: Path, layout: str, weights: Path) -> dict[str, Any]:
    """The whole photo as the authors' code sees it: PyTorch eager, half size, one piece."""
    import torch  # noqa: PLC0415

    from models.export import load_weights, widths  # noqa: PLC0415
    from models.gmnet import THUMBNAIL, GMNet  # noqa: PLC0415

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    state = load_weights(weights)
    net = GMNet(*widths(state)).eval()
    net.load_state_dict(state)
    net.to(memory_format=form)  # type: ignore[call-overload]

    def tensor(image: Any) -> Any:
        return torch.from_numpy(image).permute(2, 0, 1)[None].float().div(255).contiguous(memory_format=form)

    def run() -> None:
        pixels = np.asarray(cv2.imread(str(photo), cv2.IMREAD_COLOR_RGB))
        half = cv2.resize(pixels, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
        even = np.ascontiguousarray(half[: half.shape[0] // 2 * 2, : half.shape[1] // 2 * 2])
        small = cv2.resize(pixels, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
        _, stops = net(tensor(even), tensor(small))
        samples = (stops[0, 0].clamp(0, 1) * 255).byte().numpy()
        cv2.imencode(".jpg", samples)

    return {"cpu": cpu(run), "peak_mb": peak_mb()}


def limit(weights: Path, repeat: int) -> dict[str, Any]:
    """GFLOP a second of one 3x3 convolution in ONNX Runtime, and of the full network's local branch."""
    import onnx  # noqa: PLC0415
    from onnx import TensorProto, helper  # noqa: PLC0415

    from worker.predictors.session import open_session  # noqa: PLC0415

    channels, side = CONV
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 0.05, (channels, channels, 3, 3)).astype(np.float32)
    shape = [1, channels, side, side]
    layers = 4  # so that the layout is changed but once
    names = [f"x{i}" for i in range(layers + 1)]
    graph = helper.make_graph(
        [helper.make_node("Conv", [names[i], "w"], [names[i + 1]], pads=[1] * 4) for i in range(layers)],
        "limit",
        [helper.make_tensor_value_info(names[0], TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, shape)],
        [helper.make_tensor("w", TensorProto.FLOAT, kernel.shape, kernel.tobytes(), raw=True)],
    )
    path = weights / "limit.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    alone, local = open_session(path, 1), open_session(weights / "local.onnx", 1)
    x = rng.normal(0, 1, shape).astype(np.float32)
    net_side = 512
    feeds = {
        "image": rng.random((1, 3, net_side, net_side), np.float32),
        "kernel": np.full((1, channels, 3, 3), 1 / 9, np.float32),
        "attention": np.full((1, channels, 1, 1), 0.5, np.float32),
    }
    alone.run(None, {names[0]: x})
    local.run(None, feeds)
    seconds: dict[str, list[float]] = {"alone": [], "local": []}
    for _ in range(repeat):
        seconds["alone"].append(cpu(lambda: alone.run(None, {names[0]: x})))
        seconds["local"].append(cpu(lambda: local.run(None, feeds)))
    flop = 2 * channels * channels * 9 * side * side * layers
    return {
        "limit_gflops": flop / float(np.median(seconds["alone"])) / 1e9,
        "network_gflops": 2 * MAC_PER_PIXEL * net_side**2 / float(np.median(seconds["local"])) / 1e9,
        "core_s_per_mp": float(np.median(seconds["local"])) / (net_side**2 / 1e6),
    }


def endurance(photo: Path, model: str, models: Path, count: int) -> dict[str, Any]:
    """Memory in MiB after 50 photos and at the end of `count`, in one process."""
    from shared.options import Options  # noqa: PLC0415
    from shared.registry import find_model  # noqa: PLC0415
    from worker import pipeline  # noqa: PLC0415
    from worker.predictors import make_predictor  # noqa: PLC0415

    data = photo.read_bytes()
    predictor = make_predictor(find_model(model, models), 1)
    early = 0.0
    for done in range(1, count + 1):
        pipeline.restore(data, predictor, Options(replace=True))
        if done == min(50, count):
            early = _status_mb("VmRSS")
    return {"photos": count, "early_mb": early, "late_mb": _status_mb("VmRSS"), "peak_mb": peak_mb()}


def _status_mb(field: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"/proc/self/status has no {field}")


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["job", "network", "reference", "limit", "endurance"])
    parser.add_argument("--photo", type=Path, default=Path())
    parser.add_argument("--model", default="compact")
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--models", type=Path, default=Path("out/bench/models"))
    parser.add_argument("--weights", type=Path, default=Path())
    parser.add_argument("--layout", default="eager")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    found: dict[str, Any]
    if args.kind == "job":
        found = job(args.photo, args.model, args.backend, args.models, args.repeat)
    elif args.kind == "network":
        found = network(args.photo, args.model, args.backend, args.models, args.repeat)
    elif args.kind == "reference":
        found = reference(args.photo, args.layout, args.weights)
    elif args.kind == "limit":
        found = limit(args.weights, args.repeat)
    else:
        found = endurance(args.photo, args.model, args.models, args.repeat)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main()
