"""From a manifest's entry to a model that is loaded."""

import cv2

from shared.registry import Model, ModelKind
from shared.settings import Backend
from worker.predictors.compact import CompactPredictor
from worker.predictors.engine import make_engine
from worker.predictors.gmnet import GMNetPredictor
from worker.predictors.naive import NaivePredictor
from worker.predictors.protocol import Predictor


def make_predictor(
    model: Model, threads: int = 0, long_side: int | None = None, backend: Backend = Backend.ONNXRUNTIME
) -> Predictor:
    """Load a model.

    Args:
        model: an entry of a manifest.
        threads: threads of one prediction; 0 = one a core.
        long_side: long side of the network's input in pixels; None = the model's own.
        backend: what computes the network; what is not installed, or has no files for it, falls back to ONNX
            Runtime with a warning. tinygrad runs GMNet alone.

    Raises:
        ModelError: a file is missing or its hash differs.
    """
    if threads:
        cv2.setNumThreads(threads)  # resizing and filtering are part of a prediction; by default they take every core
    if model.kind is ModelKind.NAIVE:
        return NaivePredictor(model)
    if model.kind is ModelKind.COMPACT:
        return CompactPredictor(model, threads, long_side, backend)
    return GMNetPredictor(model, make_engine(model, threads, backend), long_side)
