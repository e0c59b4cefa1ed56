"""How far two renderings are apart to the eye: PSNR in two perceptually uniform encodings."""

import cv2
import numpy as np
from numpy.typing import NDArray

WHITE = 203.0  # cd/m2: HDR reference white, ITU-R BT.2408
PQ_PEAK = 10_000.0  # cd/m2: SMPTE ST 2084
LEAST = 0.005  # cd/m2: PU21 is defined from here
# Mantiuk and Azimi 2021, "PU21", fitted with banding and glare.
PU21 = (0.353487901, 0.3734658629, 8.277049286e-05, 0.9062562627, 0.09150303166, 0.9099517204, 596.3148142)
PU21_WHITE = 256.0  # PU21 units of 100 cd/m2, by design

Linear = NDArray[np.float32]


def pq(luminance: NDArray[np.float64]) -> NDArray[np.float64]:
    """cd/m2 -> 0..1, the inverse electro-optical transfer function of SMPTE ST 2084."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    y = np.clip(luminance / PQ_PEAK, 0, 1) ** m1
    return np.asarray(((c1 + c2 * y) / (1 + c3 * y)) ** m2)


def pu21(luminance: NDArray[np.float64]) -> NDArray[np.float64]:
    """cd/m2 (0.005 to 10,000) -> PU21 units."""
    p1, p2, p3, p4, p5, p6, p7 = PU21
    y = np.clip(luminance, LEAST, PQ_PEAK)
    return np.asarray(np.maximum(p7 * (((p1 + p2 * y**p4) / (1 + p3 * y**p4)) ** p5 - p6), 0))


def pq_psnr(shown: Linear, truth: Linear) -> float:
    """PSNR in dB of two renderings (H, W, 3), linear light, 1.0 = SDR white."""
    return _psnr(pq(shown.astype(np.float64) * WHITE), pq(truth.astype(np.float64) * WHITE), 1.0)


def pu21_psnr(shown: Linear, truth: Linear) -> float:
    """PSNR in dB against PU21's units of white, as `pq_psnr`."""
    return _psnr(pu21(shown.astype(np.float64) * WHITE), pu21(truth.astype(np.float64) * WHITE), PU21_WHITE)


def _psnr(a: NDArray[np.float64], b: NDArray[np.float64], peak: float) -> float:
    return float(10 * np.log10(peak**2 / max(float(((a - b) ** 2).mean()), 1e-12)))


def ssim(a: Linear, b: Linear, peak: float = 1.0) -> float:
    """Mean structural similarity of two planes (H, W), Gaussian window of 1.5 px (Wang et al. 2004)."""
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2

    def blur(plane: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(plane, (11, 11), 1.5), np.float64)

    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    top = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean())
