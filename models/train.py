"""Train a model on photo/gain-map pairs: `python -m models.train --data DIR --model gmnet32 --out DIR`.

Resumes from a local checkpoint (`OUT/last.pt`) or starts from weights (`--init FILE`). Beside the weights it
writes the configuration, the seed and the curve of scores. The law: stops = 3 * clip(output, 0, 1).
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from models import compact, gmnet
from models.export import load_weights, widths
from models.training import synthetic
from models.training.losses import gradient_loss, stops_loss
from models.training.pairs import TARGET_MAX, Pair, load_pairs, lw_mae, source_weights
from models.training.sampler import Config, Sampler
from models.training.widen import widen

WARM_UP = 100  # steps until the rate is reached


def half_precision() -> bool:
    """Whether bfloat16 pays: without AVX-512 it is emulated, and a step takes ten times as long as in float32."""
    return torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def build(name: str) -> nn.Module:
    """The network of a name: gmnet64, gmnet32, gmnet32b3 (three blocks a stage) or compact."""
    if name == "compact":
        return compact.CompactNet()
    features, _, blocks = name.removeprefix("gmnet").partition("b")
    return gmnet.GMNet(int(features), int(blocks or 5))


def predict(net: nn.Module, image: Tensor) -> tuple[Tensor, Tensor | None]:
    """Stops (N, 1, H, W) before clipping, and the normalised map where the network has one."""
    if isinstance(net, gmnet.GMNet):
        side = (gmnet.THUMBNAIL, gmnet.THUMBNAIL)
        thumbnail = F.interpolate(image, side, mode="bilinear", antialias=True, align_corners=False)
        out, scaled = net(image, thumbnail)
        return TARGET_MAX * scaled.float(), out.float()
    return TARGET_MAX * net(image).float(), None


def start(net: nn.Module, config: Config, curve: NDArray[np.float32]) -> None:
    """Initial weights near the data's mean, pretrained where a file is given."""
    if isinstance(net, gmnet.GMNet):
        gmnet.initialise(net, mean_map=0.3, mean_qmax=0.4)
    elif isinstance(net, compact.CompactNet):
        compact.initialise(net, torch.from_numpy(curve / TARGET_MAX))
    if config.init:
        state = load_weights(Path(config.init))
        if isinstance(net, compact.CompactNet) and "_conv_stem.weight" in state:
            known = net.encoder.state_dict()
            net.encoder.load_state_dict({k: v for k, v in state.items() if k in known})
        elif isinstance(net, gmnet.GMNet) and widths(state)[0] < net.features:
            widen(state, net)
        else:
            net.load_state_dict(state)


def median_curve(pairs: list[Pair], weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Weighted median stops at each of the compact model's knots of brightness."""
    values: list[list[NDArray[np.float32]]] = [[] for _ in range(compact.KNOTS)]
    for pair, weight in zip(pairs, weights, strict=True):
        sdr = pair.small.astype(np.float32) / 255
        guide = 0.5 * (sdr @ np.array(compact.LUMA, np.float32) + sdr.max(2))
        knot = np.rint(guide**compact.BEND * (compact.KNOTS - 1)).astype(int).ravel()
        pick = rng.choice(knot.size, max(50, int(2e6 * weight)))
        for k in range(compact.KNOTS):
            values[k].append(pair.target.ravel()[pick][knot[pick] == k])
    curve: list[float] = []
    for found in (np.concatenate(v) for v in values):
        # No pixel that bright in the data: what is a little darker gains about as much.
        curve.append(float(np.median(found)) if found.size else (curve[-1] if curve else 0.0))
    return np.array(curve, np.float32)


def evaluate(net: nn.Module, pairs: list[Pair], size: int) -> tuple[float, float]:
    """LW-MAE and the ratio of predicted to true weighted mean, whole pictures at `size` on the long side."""
    net.eval()
    errors, means = [], []
    for pair in pairs:
        predicted = whole(net, pair, size)
        errors.append(lw_mae(predicted, pair))
        means.append((predicted * pair.weight).sum() / (pair.target * pair.weight).sum().clip(1))
    return float(np.mean(errors)), float(np.median(means))


def whole(net: nn.Module, pair: Pair, size: int) -> NDArray[np.float32]:
    """Stops (h, w) for a whole picture: by the network's own slicing, or enlarged to the map's size."""
    height, width = pair.target.shape
    scale = size / max(height, width)
    side = (32 * max(2, round(width * scale / 32)), 32 * max(2, round(height * scale / 32)))
    small = tensor_of(cv2.resize(pair.sdr, side, interpolation=cv2.INTER_AREA))
    with torch.no_grad():
        if isinstance(net, compact.CompactNet):
            large = tensor_of(pair.small)
            stops = TARGET_MAX * compact.sliced(large, net.curves(small))
        else:
            stops = F.interpolate(predict(net, small)[0], (height, width), mode="bilinear", align_corners=False)
    return np.asarray(stops.clamp(0, TARGET_MAX)[0, 0].numpy(), np.float32)


def tensor_of(image: NDArray[Any]) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 255


class Average:
    """An exponential moving average of the weights, which is what is scored and kept."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay, self.count = decay, 0
        self.state = {k: v.detach().clone() for k, v in net.state_dict().items()}

    def update(self, net: nn.Module) -> None:
        """Move towards the network; quickly at first, so that the start does not linger."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        for key, value in net.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[key].lerp_(value.detach(), 1 - decay)


def parameter_groups(net: nn.Module, config: Config) -> list[dict[str, Any]]:
    """Weights decay, biases do not; a pretrained encoder moves more slowly."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if name.startswith("encoder.") and config.encoder_rate == 0:
            parameter.requires_grad_(False)
            continue
        groups.setdefault((name.startswith("encoder."), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "rate": config.encoder_rate if encoder else config.rate,
            "weight_decay": config.decay if matrix else 0.0,
        }
        for (encoder, matrix), parameters in groups.items()
    ]


def loss_of(net: nn.Module, image: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Stops weighted as the score is, plus slopes, plus (GMNet) the map against the target's own peak."""
    with torch.autocast("cpu", torch.bfloat16, enabled=half_precision()):
        stops, normalised = predict(net, image)
    loss = stops_loss(stops, target, image) + 0.2 * gradient_loss(stops, target)
    if normalised is not None:
        peak = target.amax((1, 2, 3), keepdim=True).clamp(min=0.1)
        loss = loss + 0.1 * F.smooth_l1_loss(normalised, target / peak, beta=0.05, reduction="none").mean((1, 2, 3))
    return (loss * weights).mean()


class Run:
    """One training run: data, network, optimiser and average, which a checkpoint brings back."""

    def __init__(self, config: Config, say: Callable[[str], None]) -> None:
        self.config, self.say, self.out = config, say, Path(config.out)
        self.rng = np.random.default_rng(config.seed)
        pairs = load_pairs(Path(config.data) / "train")
        self.val = load_pairs(Path(config.data) / "val")
        weights = source_weights([pair.row for pair in pairs])
        scenes = synthetic.load_scenes(Path(config.hdr)) if config.hdr and config.synthetic else []
        self.sampler = Sampler(pairs, weights, scenes, config)
        self.net = build(config.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.probe = build(config.model)
        start(self.net, config, median_curve(pairs, weights, self.rng))
        self.optimiser = torch.optim.AdamW(parameter_groups(self.net, config), lr=config.rate, betas=(0.9, 0.98))
        self.average = Average(self.net, config.average)
        self.step, self.best, self.running = 0, math.inf, 0.0
        self._resume()

    def _resume(self) -> None:
        last = self.out / "last.pt"
        if not last.is_file():
            return
        kept = torch.load(last, weights_only=True)
        self.net.load_state_dict(kept["net"])
        self.optimiser.load_state_dict(kept["optimiser"])
        self.average.state, self.average.count = kept["average"], kept["step"]
        self.step, self.best = kept["step"], kept["best"]

    def advance(self) -> None:
        """One step, by a cosine that ends at a fiftieth of the rate."""
        progress = self.step / self.config.steps
        scale = min(1.0, (self.step + 1) / WARM_UP) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in self.optimiser.param_groups:
            group["lr"] = group["rate"] * scale
        self.net.train()
        for module in self.net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()  # a few hundred pictures would only spoil the pretrained statistics
        image, target, weights = self.sampler.batch(self.rng)
        loss = loss_of(self.net, image.contiguous(memory_format=torch.channels_last), target, weights)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.average.update(self.net)
        self.step += 1
        self.running = 0.98 * self.running + 0.02 * loss.item() if self.running else loss.item()

    def keep(self) -> None:
        """Score the average on val, keep it if it is the best, and write the checkpoint."""
        self.probe.load_state_dict(self.average.state)
        score, ratio = evaluate(self.probe, self.val, self.config.size)
        torch.save(self.average.state, self.out / "average.pt")
        if score < self.best:
            self.best = score
            torch.save(self.average.state, self.out / "best.pt")
        kept = {"net": self.net.state_dict(), "optimiser": self.optimiser.state_dict(), "average": self.average.state}
        torch.save({**kept, "step": self.step, "best": self.best}, self.out / "last.pt")
        with (self.out / "scores.jsonl").open("a") as lines:
            row = {
                "step": self.step,
                "loss": round(self.running, 5),
                "lw_mae": round(score, 5),
                "ratio": round(ratio, 3),
            }
            lines.write(json.dumps(row) + "\n")
        self.say(
            f"step {self.step} loss {self.running:.4f} val LW-MAE {score:.4f} (best {self.best:.4f}) ratio {ratio:.2f}"
        )


def train(config: Config, say: Callable[[str], None]) -> None:
    """Run until the steps are done or the minutes are over; keep the best average by the score on val."""
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    cv2.setNumThreads(1)
    Path(config.out).mkdir(parents=True, exist_ok=True)
    (Path(config.out) / "config.json").write_text(json.dumps(asdict(config), indent=1) + "\n")
    run = Run(config, say)
    begun = time.monotonic()
    while run.step < config.steps and time.monotonic() - begun < config.minutes * 60:
        run.advance()
        if run.step % config.every == 0:
            run.keep()
    if run.step % config.every:
        run.keep()  # the minutes, or the steps, ended between two scores


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", default="gmnet32")
    parser.add_argument("--data", required=True, help="folder with train/ and val/")
    parser.add_argument("--out", required=True, help="folder for checkpoints and scores")
    parser.add_argument("--hdr", help="folder of Radiance panoramas for rendered pairs")
    parser.add_argument("--init", help="weights to start from")
    parser.add_argument("--size", type=int, default=256, help="long side of a 4:3 picture in training")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=6e-4)
    parser.add_argument("--encoder-rate", type=float, default=1e-4)
    parser.add_argument("--decay", type=float, default=0.02)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--least", type=float, default=0.6, help="least share of each side that a crop keeps")
    parser.add_argument("--spread", type=float, default=0.3, help="octaves around --size that are drawn")
    parser.add_argument("--synthetic", type=float, default=0.15, help="share of rendered pairs")
    parser.add_argument("--average", type=float, default=0.998)
    parser.add_argument("--regrade", type=float, default=1.0, help="how strongly colours are changed")
    parser.add_argument("--every", type=int, default=100, help="steps between two scores on val")
    parser.add_argument("--threads", type=int, default=2)
    config = Config(**vars(parser.parse_args()))
    train(config, lambda line: print(line, flush=True))  # noqa: T201


if __name__ == "__main__":
    main()
