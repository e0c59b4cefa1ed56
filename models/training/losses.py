"""The training loss: the score's own weighting, in stops, and two helpers of shape."""

import torch
from torch import Tensor
from torch.nn import functional as F

SMOOTH = 0.02  # stops: below this the error counts quadratically


def linear_luminance(image: Tensor) -> Tensor:
    """(N, 3, H, W) sRGB in 0..1 -> (N, 1, H, W) linear Rec. 709 luminance."""
    linear = torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    return (linear * image.new_tensor([0.2126, 0.7152, 0.0722])[None, :, None, None]).sum(1, keepdim=True)


def stops_loss(stops: Tensor, target: Tensor, image: Tensor) -> Tensor:
    """Smooth L1 in stops, weighted by luminance within each picture as the score is, a tenth evenly."""
    weight = linear_luminance(image)
    weight = weight / weight.mean((1, 2, 3), keepdim=True).clamp(min=1e-4)
    error = F.smooth_l1_loss(stops, target, beta=SMOOTH, reduction="none")
    return (error * (0.9 * weight + 0.1)).mean((1, 2, 3))


def gradient_loss(stops: Tensor, target: Tensor) -> Tensor:
    """L1 between the slopes of both maps, for sharp borders of lamps and windows."""
    difference = stops - target
    return difference.diff(dim=2).abs().mean((1, 2, 3)) + difference.diff(dim=3).abs().mean((1, 2, 3))
