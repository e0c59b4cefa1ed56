"""One network graph and what computes it: ONNX Runtime in float32 or int8, or OpenVINO."""

import importlib
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from shared.registry import Model
from shared.settings import Backend
from worker.predictors.protocol import Image
from worker.predictors.session import open_session

Array = NDArray[np.float32]
log = logging.getLogger("regain.predictors")


class Graph(Protocol):
    """A loaded graph; thread-safe."""

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Inputs by name -> the outputs in the graph's order; float32, NCHW."""


class OnnxGraph:
    """A graph in ONNX Runtime, on the CPU."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Graph.run`."""
        return [np.asarray(output, np.float32) for output in self._session.run(None, dict(feeds))]


class OpenVinoGraph:
    """A graph in OpenVINO: pays on CPUs that compute bfloat16 (Zen 4, Sapphire Rapids), where it halves the cost."""

    def __init__(self, path: Path, threads: int) -> None:
        """Load a graph.

        Raises:
            ImportError: the optional extra is not installed.
        """
        openvino = importlib.import_module("openvino")
        core = openvino.Core()
        native = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if native else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # workers beside this one would be pinned to the same cores
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._compiled = core.compile_model(str(path), "CPU", settings)
        self._requests = threading.local()  # a request serves one caller at a time

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """See `Graph.run`."""
        request: Any = getattr(self._requests, "one", None)
        if request is None:
            request = self._requests.one = self._compiled.create_infer_request()
        found = request.infer(dict(feeds))
        # A copy: the next call writes over what the request holds.
        return [np.array(found[output], np.float32) for output in self._compiled.outputs]


def open_graph(model: Model, role: str, threads: int, backend: Backend) -> Graph:
    """Load a model's graph of this role into a backend; ONNX Runtime in float32, with a warning, where that cannot be.

    Raises:
        ModelError: a file is missing or its hash differs.
    """
    if backend is Backend.INT8:
        if f"{role}_int8" in model.files:
            return OnnxGraph(open_session(model.verified(f"{role}_int8"), threads))
        if role != "global":  # 4 % of GMNet's work, and all that decides a photo's peak: it stays float32
            log.warning("model %s has no int8 files: it runs in float32", model.name)
    if backend is Backend.OPENVINO:
        try:
            return OpenVinoGraph(model.verified(role), threads)
        except ImportError as error:
            log.warning("openvino is not installed (%s; install regain[openvino]): onnxruntime runs instead", error)
    return OnnxGraph(open_session(model.verified(role), threads))


def planes(image: Image) -> Array:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 in 0..1, as the networks take it."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255))
