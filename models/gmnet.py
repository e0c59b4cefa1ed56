"""GMNet (Liao et al., "Learning Gain Map for Inverse Tone Mapping", ICLR 2025), written from the paper.

Two branches. The global one looks at a 256x256 thumbnail of the whole picture and yields a dynamic 3x3
depthwise kernel, a channel attention and qmax, the picture's peak gain. The local one looks at the picture
itself and yields the normalised gain map. Module names match the authors' checkpoints, so that theirs load.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

THUMBNAIL = 256  # pixels per side, the whole picture squeezed into a square (paper, section 4)
KERNEL = 3  # the dynamic kernel's side, which is also the pooling grid of its head


class DownConv(nn.Module):
    """Halve the resolution, then two more convolutions."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class ResidualBlock(nn.Module):
    """Two convolutions around an identity, without normalisation."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, 1, 1)
        self.conv2 = nn.Conv2d(features, features, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(F.relu(self.conv1(x)))
        return out


class SqueezeHead(nn.Module):
    """Pool the thumbnail's features to a `size` x `size` grid and map them to `outputs` channels."""

    def __init__(self, size: int, outputs: int, features: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(size)
        self.conv = nn.Sequential(
            nn.Conv2d(features, features * 2, 1),
            nn.ReLU(),
            nn.Conv2d(features * 2, features, 1),
            nn.ReLU(),
            nn.Conv2d(features, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(self.pool(x))
        return out


def residual_stage(features: int, blocks: int) -> nn.Sequential:
    """`blocks` residual blocks in a row."""
    return nn.Sequential(OrderedDict((str(i), ResidualBlock(features)) for i in range(blocks)))


class GMNet(nn.Module):
    """Predict a normalised gain map and the peak it is to be multiplied with.

    `features` = 64 and `blocks` = 5 are the authors' network (1,921,827 parameters).
    """

    def __init__(self, features: int = 64, blocks: int = 5) -> None:
        super().__init__()
        self.features, self.blocks = features, blocks
        self.down1 = DownConv(3, features // 4)
        self.down2 = DownConv(features // 4, features)
        self.res_y = residual_stage(features, blocks)
        self.sq_ker = SqueezeHead(KERNEL, features, features)
        self.sq_chn = SqueezeHead(1, features, features)
        self.sq_qmax = SqueezeHead(1, 1, features)
        self.mask_est = nn.Sequential(
            nn.Conv2d(features, features, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(features, 1, 3, 1, 1),
            nn.Sigmoid(),
        )
        self.down_x = DownConv(3, features)
        self.res1 = residual_stage(features, blocks)
        self.res2 = residual_stage(features, blocks)
        self.res3 = residual_stage(features, blocks)
        self.upconv = nn.Conv2d(features, 4 * features, 3, 1, 1)
        self.upsampler = nn.PixelShuffle(2)
        self.HRconv = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_last = nn.Conv2d(features, 1, 3, 1, 1)

    def global_branch(self, thumbnail: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3, 256, 256) sRGB in 0..1 -> kernel (N, C, 3, 3), attention (N, C, 1, 1), qmax (N, 1, 1, 1)."""
        y = self.res_y(self.down2(self.down1(thumbnail)))
        return self.sq_ker(y), torch.sigmoid(self.sq_chn(y)), self.sq_qmax(y)

    def local_branch(self, image: Tensor, kernel: Tensor, attention: Tensor) -> Tensor:
        """(N, 3, H, W) sRGB in 0..1, H and W even -> the normalised map (N, 1, H, W)."""
        x = self.res1(self.down_x(image))
        x = x * self.mask_est(self._filtered(x, kernel))
        x = self.res3(self.res2(x) * attention)
        x = F.relu(self.upsampler(self.upconv(x)))
        out: Tensor = self.conv_last(F.relu(self.HRconv(x)))
        return out

    def _filtered(self, x: Tensor, kernel: Tensor) -> Tensor:
        """Filter each channel with its own picture's kernel."""
        c = self.features
        if x.shape[0] == 1:  # what is exported: no reshape that would hide the number of channels
            return F.conv2d(x, kernel.transpose(0, 1), padding=1, groups=c)
        # Each picture has its own kernel: the batch is folded into the channels of one grouped convolution.
        n, _, h, w = x.shape
        folded = F.conv2d(x.reshape(1, n * c, h, w), kernel.reshape(n * c, 1, KERNEL, KERNEL), padding=1, groups=n * c)
        return folded.reshape(n, c, h, w)

    def forward(self, image: Tensor, thumbnail: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normalised map and, scaled by qmax, the share of the law's peak; both (N, 1, H, W)."""
        kernel, attention, qmax = self.global_branch(thumbnail)
        out = self.local_branch(image, kernel, attention)
        return out, qmax * out


def initialise(net: GMNet, mean_map: float, mean_qmax: float) -> None:
    """Start near the data's mean: the paper's 0.1 on every layer leaves the output at zero for hours."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        if isinstance(module, ResidualBlock):
            module.conv2.weight.data.mul_(0.1)
    for head, scale, bias in (
        (net.conv_last, 0.01, mean_map),
        (net.sq_qmax.conv[-1], 0.01, mean_qmax),
        (net.sq_ker.conv[-1], 0.1, 1.0 / KERNEL**2),
        (net.sq_chn.conv[-1], 0.1, 0.0),
    ):
        _scale(head, scale, bias)


def _scale(layer: nn.Module, weight: float, bias: float) -> None:
    """Shrink a layer's weights and set its biases."""
    if isinstance(layer, nn.Conv2d) and layer.bias is not None:
        layer.weight.data.mul_(weight)
        layer.bias.data.fill_(bias)
