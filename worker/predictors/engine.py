"""Who computes GMNet: ONNX Runtime, or tinygrad where that cannot be installed."""

import importlib
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from shared.registry import Model, ModelError
from shared.settings import Backend
from worker.predictors.session import open_session

Planes = NDArray[np.float32]


class Engine(Protocol):
    """The network's two branches; arrays are float32, NCHW, one picture."""

    def global_branch(self, thumbnail: Planes) -> tuple[Planes, Planes, Planes]:
        """(1, 3, 256, 256) sRGB in 0..1 -> kernel (1, C, 3, 3), attention (1, C, 1, 1), qmax (1, 1, 1, 1)."""

    def local_branch(self, image: Planes, kernel: Planes, attention: Planes) -> Planes:
        """(1, 3, H, W) with even sides -> the normalised map (1, 1, H, W)."""


class OnnxEngine:
    """Two ONNX graphs; thread-safe, as sessions are."""

    def __init__(self, model: Model, threads: int) -> None:
        self._global = open_session(model.verified("global"), threads)
        self._local = open_session(model.verified("local"), threads)

    def global_branch(self, thumbnail: Planes) -> tuple[Planes, Planes, Planes]:
        """See `Engine.global_branch`."""
        kernel, attention, qmax = self._global.run(None, {"thumbnail": thumbnail})
        return kernel, attention, qmax

    def local_branch(self, image: Planes, kernel: Planes, attention: Planes) -> Planes:
        """See `Engine.local_branch`."""
        feeds = {"image": image, "kernel": kernel, "attention": attention}
        return np.asarray(self._local.run(None, feeds)[0], np.float32)


def make_engine(model: Model, threads: int, backend: Backend) -> Engine:
    """Load a GMNet's weights into the chosen backend.

    Raises:
        ModelError: a file is missing or its hash differs, or the backend is not installed.
    """
    if backend is Backend.ONNXRUNTIME:
        return OnnxEngine(model, threads)
    if "weights" not in model.files:
        raise ModelError("no_backend", f"model {model.name!r} has no weights for tinygrad; use the onnxruntime backend")
    path = model.verified("weights")
    try:
        # By name: the port lives with the training code, which the product never imports.
        module = importlib.import_module("models.tinygrad_backend")
    except ImportError as error:
        raise ModelError(
            "no_backend", f"the tinygrad backend is not installed ({error}); install tinygrad, or use onnxruntime"
        ) from error
    with np.load(path) as stored:
        return cast(Engine, module.TinyGMNet(dict(stored)))
