"""GMNet on tinygrad: the port with the fewest dependencies, and a third opinion on the other two.

Takes the same state dictionaries as `models.gmnet`, as NumPy arrays; needs neither torch nor ONNX Runtime.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tinygrad.tensor import Tensor

THUMBNAIL_GRID: Final = 64  # pixels per side of the features that the heads pool
KERNEL: Final = 3
Array = NDArray[np.float32]


class TinyGMNet:
    """A GMNet whose weights are given as arrays by the authors' names."""

    def __init__(self, state: dict[str, Array]) -> None:
        self._w = {key: Tensor(np.ascontiguousarray(value)) for key, value in state.items()}
        self._blocks = len({key.split(".")[1] for key in state if key.startswith("res1.")})

    def global_branch(self, thumbnail: Array) -> tuple[Array, Array, Array]:
        """(1, 3, 256, 256) sRGB in 0..1 -> kernel (1, C, 3, 3), attention (1, C, 1, 1), qmax (1, 1, 1, 1)."""
        y = self._stage("res_y", self._down("down2", self._down("down1", Tensor(thumbnail))))
        kernel, attention = self._head("sq_ker", y, KERNEL), self._head("sq_chn", y, 1).sigmoid()
        return _array(kernel), _array(attention), _array(self._head("sq_qmax", y, 1))

    def local_branch(self, image: Array, kernel: Array, attention: Array) -> Array:
        """(1, 3, H, W) with even sides -> the normalised map (1, 1, H, W)."""
        x = self._stage("res1", self._down("down_x", Tensor(image)))
        channels = int(x.shape[1])
        filtered = x.conv2d(Tensor(kernel).reshape(channels, 1, KERNEL, KERNEL), groups=channels, padding=1)
        mask = self._conv("mask_est.2", self._conv("mask_est.0", filtered).relu()).sigmoid()
        x = self._stage("res3", self._stage("res2", x * mask) * Tensor(attention))
        x = _pixel_shuffle(self._conv("upconv", x)).relu()
        return _array(self._conv("conv_last", self._conv("HRconv", x).relu()))

    def _conv(self, name: str, x: Any, stride: int = 1) -> Any:
        weight = self._w[f"{name}.weight"]
        return x.conv2d(weight, self._w[f"{name}.bias"], stride=stride, padding=int(weight.shape[-1]) // 2)

    def _down(self, name: str, x: Any) -> Any:
        for layer, stride in ((0, 2), (2, 1), (4, 1)):
            x = self._conv(f"{name}.conv.{layer}", x, stride).relu()
        return x

    def _stage(self, name: str, x: Any) -> Any:
        for i in range(self._blocks):
            x = x + self._conv(f"{name}.{i}.conv2", self._conv(f"{name}.{i}.conv1", x).relu())
            x = x.realize()  # one kernel a block: the whole graph at once takes minutes to schedule
        return x

    def _head(self, name: str, y: Any, size: int) -> Any:
        rows = Tensor(pooling_rows(size, int(y.shape[-1])))
        x = rows @ y @ rows.transpose()
        x = self._conv(f"{name}.conv.2", self._conv(f"{name}.conv.0", x).relu()).relu()
        return self._conv(f"{name}.conv.4", x)


def pooling_rows(size: int, length: int = THUMBNAIL_GRID) -> Array:
    """Adaptive average pooling along one axis as a (size, length) matrix; its bins overlap where they must."""
    rows = np.zeros((size, length), np.float32)
    for i in range(size):
        start, stop = i * length // size, -(-(i + 1) * length // size)
        rows[i, start:stop] = 1 / (stop - start)
    return rows


def _pixel_shuffle(x: Any) -> Any:
    # Channel-major blocks (CRD): channel c of the output takes inputs 4c, 4c + 1, 4c + 2, 4c + 3.
    n, c, h, w = x.shape
    return x.reshape(n, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // 4, h * 2, w * 2)


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.numpy(), np.float32)
