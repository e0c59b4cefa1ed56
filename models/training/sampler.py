"""What a run depends on, and the batches that it draws."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.training import augment, synthetic
from models.training.pairs import Pair

ASPECTS = ((4, 3), (3, 4), (1, 1), (4, 3), (3, 4), (16, 9), (9, 16))  # drawn evenly, one a batch


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a run depends on; lengths in pixels, times in minutes, shares in 0..1, spread in octaves."""

    model: str
    data: str
    out: str
    hdr: str | None
    init: str | None
    size: int
    batch: int
    rate: float
    encoder_rate: float
    decay: float
    minutes: float
    steps: int
    seed: int
    least: float
    spread: float
    synthetic: float
    average: float
    regrade: float
    every: int
    threads: int


@dataclass(frozen=True, slots=True)
class Sampler:
    """Draws batches: real pairs evenly over sources, a share of rendered ones."""

    pairs: list[Pair]
    weights: NDArray[np.float64]
    scenes: list[NDArray[np.float32]]
    config: Config

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Images (N, 3, H, W) in 0..1, targets (N, 1, H, W) in stops, and each one's weight (N)."""
        across, down = ASPECTS[rng.integers(len(ASPECTS))]
        area = (self.config.size * 2 ** rng.uniform(-self.config.spread, self.config.spread)) ** 2 * 0.75
        width = 32 * max(2, round(math.sqrt(area * across / down) / 32))
        height = 32 * max(2, round(math.sqrt(area * down / across) / 32))
        images, targets, weights = [], [], []
        for _ in range(self.config.batch):
            if self.scenes and rng.random() < self.config.synthetic:
                sdr, target = synthetic.render(self.scenes[rng.integers(len(self.scenes))], (width, height), rng)
                weights.append(0.7)
            else:
                pair = self.pairs[rng.choice(len(self.pairs), p=self.weights)]
                sdr, target = augment.crop(pair.sdr, pair.target, (width, height), rng, self.config.least)
                weights.append(1.0)
            if rng.random() < 0.7:
                sdr = augment.regrade(sdr, rng, self.config.regrade)
            images.append(augment.editor(sdr, rng))
            targets.append(target)
        image = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
        return image, torch.from_numpy(np.stack(targets))[:, None], torch.tensor(weights)
