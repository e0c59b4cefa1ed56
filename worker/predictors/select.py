"""From a manifest's entry to a model that is loaded."""

from collections.abc import Callable
from typing import Final

from worker.predictors.compact import CompactPredictor
from worker.predictors.gmnet import GMNetPredictor
from worker.predictors.naive import NaivePredictor
from worker.predictors.protocol import Predictor
from worker.registry import Model, ModelKind

_KINDS: Final[dict[ModelKind, Callable[[Model, int, int | None], Predictor]]] = {
    ModelKind.GMNET: GMNetPredictor,
    ModelKind.COMPACT: CompactPredictor,
    ModelKind.NAIVE: lambda model, threads, long_side: NaivePredictor(model),  # noqa: ARG005
}


def make_predictor(model: Model, threads: int = 0, long_side: int | None = None) -> Predictor:
    """Load a model.

    Args:
        model: an entry of a manifest.
        threads: threads of one prediction; 0 = one a core.
        long_side: long side of the network's input in pixels; None = the model's own.

    Raises:
        ModelError: a file is missing or its hash differs.
    """
    return _KINDS[model.kind](model, threads, long_side)
