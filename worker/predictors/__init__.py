"""Models behind one protocol: an upright sRGB picture in, a map of stops out."""

from worker.predictors.protocol import Predictor
from worker.predictors.select import make_predictor

__all__ = ["Predictor", "make_predictor"]
