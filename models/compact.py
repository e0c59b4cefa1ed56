"""The compact model: a low-resolution network over the whole picture, sliced by a guide at full size.

An EfficientNet-Lite0 encoder (Apache-2.0 weights, trained on ImageNet) and a feature pyramid yield, for every
place of a coarse grid, a small curve from brightness to stops. The picture itself then picks, pixel by pixel,
the point on its place's curve (a bilateral grid, Gharbi et al. 2017): edges come from the picture, so the cost
hardly grows with its size.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KNOTS: Final = 12  # points of each place's curve
BEND: Final = 1.5  # exponent of the guide: knots lie closer together near white
LUMA: Final = (0.2126, 0.7152, 0.0722)  # Rec. 709, on gamma-encoded values
DROP: Final = 0.35  # share of features hidden in training
PYRAMID: Final = 48  # channels
BN_EPSILON: Final = 1e-3  # EfficientNet-Lite's own

# (kernel, stride of the first block, expansion, output channels, blocks): EfficientNet-Lite0's seven stages.
STAGES: Final[Sequence[tuple[int, int, int, int, int]]] = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding for even inputs, as the pretrained weights expect."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, 0, groups=groups, bias=False)
        total = kernel - stride
        self.pad = (total // 2, total - total // 2) * 2 if total > 0 else (0, 0, 0, 0)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.pad) if any(self.pad) else x)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; identity where the shape allows. Names match the checkpoint."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.identity = stride == 1 and inputs == outputs
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv(inputs, inner, 1)
            self._bn0 = nn.BatchNorm2d(inner, BN_EPSILON)
        self._depthwise_conv = SameConv(inner, inner, kernel, stride, groups=inner)
        self._bn1 = nn.BatchNorm2d(inner, BN_EPSILON)
        self._project_conv = SameConv(inner, outputs, 1)
        self._bn2 = nn.BatchNorm2d(outputs, BN_EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        out: Tensor = x + y if self.identity else y
        return out


class Encoder(nn.Module):
    """EfficientNet-Lite0 without its classifier: features at strides 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2)
        self._bn0 = nn.BatchNorm2d(32, BN_EPSILON)
        blocks: list[nn.Module] = []
        self.taps: list[int] = []  # the block after which a stride's features are complete
        inputs, out_channels = 32, []
        for kernel, stride, expansion, outputs, count in STAGES:
            if stride == 2:
                self.taps.append(len(blocks) - 1)
                out_channels.append(inputs)
            for i in range(count):
                blocks.append(InvertedResidual(inputs, outputs, kernel, stride if i == 0 else 1, expansion))
                inputs = outputs
        self.taps.append(len(blocks) - 1)
        self.channels = [*out_channels[1:], inputs]
        self._blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = F.relu6(self._bn0(self._conv_stem(image * (255 / 128) - 127 / 128)))
        features = []
        for i, block in enumerate(self._blocks):
            x = block(x)
            if i in self.taps[1:]:
                features.append(x)
        return features


class CompactNet(nn.Module):
    """Predict stops as a share of the law's peak."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        deepest = self.encoder.channels[-1]
        self.lateral = nn.ModuleList(nn.Conv2d(c, PYRAMID, 1) for c in self.encoder.channels)
        self.smooth = nn.ModuleList(
            nn.Sequential(nn.Conv2d(PYRAMID, PYRAMID, 3, 1, 1), nn.ReLU()) for _ in self.encoder.channels
        )
        self.drop = nn.Dropout2d(DROP)
        self.context = nn.Sequential(
            nn.Dropout(DROP), nn.Linear(2 * deepest + KNOTS + 6, PYRAMID), nn.ReLU(), nn.Dropout(DROP)
        )
        # One number for the strength and one a knot for the curve's shape, for the whole picture and for each place.
        self.whole = nn.Linear(PYRAMID, 1 + KNOTS)
        self.place = nn.Conv2d(PYRAMID, 1 + KNOTS, 3, 1, 1)
        self.prior = nn.Parameter(torch.zeros(KNOTS))

    def curves(self, image: Tensor) -> Tensor:
        """(N, 3, h, w) sRGB in 0..1, sides multiples of 32 -> (N, KNOTS, h/4, w/4) shares of the peak."""
        features = self.encoder(image)
        context = self.context(torch.cat([*_pooled(features[-1], image), *_statistics(image)], 1))
        x = self.lateral[-1](self.drop(features[-1])) + context[:, :, None, None]
        x = self.smooth[-1](x)
        for i in range(len(features) - 2, -1, -1):
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = self.smooth[i](x + self.lateral[i](features[i]))
        logits = self.place(x) + self.whole(context)[:, :, None, None]
        # Below softplus's knee the strength multiplies: a photo is lifted as a whole before its curve bends.
        return F.softplus(self.prior[None, :, None, None] + logits[:, :1] + logits[:, 1:])

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 1, H, W) shares of the law's peak."""
        return sliced(image, self.curves(image))


def position(image: Tensor) -> Tensor:
    """(N, 3, H, W) sRGB -> (N, 1, H, W): where on its curve each pixel lies, 0..KNOTS - 1.

    Halfway between luma and the brightest channel, since lamps may be coloured; bent so that knots lie closer
    together near white, where gain rises steeply.
    """
    luma = (image * image.new_tensor(LUMA)[None, :, None, None]).sum(1, keepdim=True)
    guide = 0.5 * (luma + image.amax(1, keepdim=True))
    return guide**BEND * (KNOTS - 1)


def sliced(image: Tensor, curves: Tensor) -> Tensor:
    """Picture (N, 3, H, W) and curves (N, KNOTS, h, w) -> (N, 1, H, W), each pixel's point on its place's curve."""
    places = F.interpolate(curves, size=image.shape[-2:], mode="bilinear", align_corners=False)
    return (places * _hats(position(image))).sum(1, keepdim=True)


def _hats(where: Tensor) -> Tensor:
    knots = torch.arange(KNOTS, device=where.device, dtype=where.dtype)[None, :, None, None]
    return (1 - (where - knots).abs()).clamp(min=0)


def _pooled(features: Tensor, image: Tensor) -> list[Tensor]:
    """Means of the deepest features over the picture, evenly and weighted by light."""
    light = F.avg_pool2d(image.mean(1, keepdim=True) ** 2, 32) + 1e-3
    weighted = (features * light).sum((2, 3)) / light.sum((2, 3))
    return [features.mean((2, 3)), weighted]


def _statistics(image: Tensor) -> list[Tensor]:
    """The histogram over the knots, and each channel's mean and deviation."""
    mean = image.mean((2, 3))
    deviation = ((image - mean[:, :, None, None]) ** 2).mean((2, 3)).clamp(min=1e-6).sqrt()
    return [_hats(position(image)).mean((2, 3)).clamp(min=1e-6).sqrt(), mean, deviation]


def initialise(net: CompactNet, curve: Tensor) -> None:
    """Start at a look-up table (KNOTS shares of the peak) that is the same everywhere."""
    for head in (net.place, net.whole):
        head.weight.data.mul_(0.05)
        nn.init.zeros_(head.bias)  # type: ignore[arg-type]
    net.prior.data.copy_(torch.log(torch.expm1(curve.clamp(min=1e-3))))
