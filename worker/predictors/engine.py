"""Who computes GMNet: graphs in a runtime, or tinygrad where none can be installed."""

import importlib
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from shared.registry import Model
from shared.settings import Backend
from worker.predictors.graph import log, open_graph

Planes = NDArray[np.float32]


class Engine(Protocol):
    """The network's two branches; arrays are float32, NCHW, one picture."""

    def global_branch(self, thumbnail: Planes) -> tuple[Planes, Planes, Planes]:
        """(1, 3, 256, 256) sRGB in 0..1 -> kernel (1, C, 3, 3), attention (1, C, 1, 1), qmax (1, 1, 1, 1)."""

    def local_branch(self, image: Planes, kernel: Planes, attention: Planes) -> Planes:
        """(1, 3, H, W) with even sides -> the normalised map (1, 1, H, W)."""


class GraphEngine:
    """Two graphs; thread-safe, as graphs are."""

    def __init__(self, model: Model, threads: int, backend: Backend = Backend.ONNXRUNTIME) -> None:
        self._global = open_graph(model, "global", threads, backend)
        self._local = open_graph(model, "local", threads, backend)

    def global_branch(self, thumbnail: Planes) -> tuple[Planes, Planes, Planes]:
        """See `Engine.global_branch`."""
        kernel, attention, qmax = self._global.run({"thumbnail": thumbnail})
        return kernel, attention, qmax

    def local_branch(self, image: Planes, kernel: Planes, attention: Planes) -> Planes:
        """See `Engine.local_branch`."""
        return self._local.run({"image": image, "kernel": kernel, "attention": attention})[0]


def make_engine(model: Model, threads: int, backend: Backend) -> Engine:
    """Load a GMNet's weights into the chosen backend; ONNX Runtime, with a warning, where that cannot be.

    Raises:
        ModelError: a file is missing or its hash differs.
    """
    if backend is not Backend.TINYGRAD:
        return GraphEngine(model, threads, backend)
    if "weights" not in model.files:
        log.warning("model %s has no weights for tinygrad: onnxruntime runs instead", model.name)
        return GraphEngine(model, threads)
    path = model.verified("weights")
    try:
        # By name: the port lives with the training code, which the product never imports.
        module = importlib.import_module("models.tinygrad_backend")
    except ImportError as error:
        log.warning("tinygrad is not installed (%s): onnxruntime runs instead", error)
        return GraphEngine(model, threads)
    with np.load(path) as stored:
        return cast(Engine, module.TinyGMNet(dict(stored)))
