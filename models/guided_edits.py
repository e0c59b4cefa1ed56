"""Edits whose truth is known: what people and AI editors do to a photo, done to its map as well."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from models.training.augment import regrade as graded
from shared.imaging.colour import linear_to_srgb, luminance, srgb_to_linear

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Matrix = NDArray[np.float64]

MAX_SPENT: Final = 1.0  # stops: light above white that the truth gives back, as the product limits it


@dataclass(frozen=True, slots=True)
class Edit:
    """`image` (H, W, 3) uint8 sRGB; `truth` (H, W) stops; `changed` (H, W) 0..1; `matrix`, original to edit pixels.

    `floor` is what the photo's camera lifts everything by, in stops.
    """

    image: Image
    truth: Plane
    changed: Plane
    matrix: Matrix
    floor: float = 0.0


Step = Callable[[Edit, Edit, np.random.Generator], Edit]


def start(sdr: Image, stops: Plane, floor: float) -> Edit:
    """A photo before any edit; the map is enlarged to its size."""
    size = (sdr.shape[1], sdr.shape[0])
    truth = np.asarray(cv2.resize(stops, size, interpolation=cv2.INTER_LINEAR), np.float32)
    return Edit(sdr, truth, np.zeros(sdr.shape[:2], np.float32), np.eye(3), floor)


def moved(edit: Edit, matrix: Matrix, size: tuple[int, int]) -> Edit:
    """Every plane through one matrix, to `size` (width, height)."""

    def through(plane: NDArray[Any]) -> NDArray[Any]:
        return cv2.warpPerspective(plane, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)

    return Edit(
        np.asarray(through(edit.image), np.uint8),
        np.asarray(through(edit.truth), np.float32),
        np.asarray(through(edit.changed), np.float32),
        matrix @ edit.matrix,
        edit.floor,
    )


def crop(edit: Edit, _: Edit, rng: np.random.Generator) -> Edit:
    """55 to 90 % of each side."""
    height, width = edit.image.shape[:2]
    share = rng.uniform(0.55, 0.9, 2)
    across, down = int(width * share[0]), int(height * share[1])
    left, top = int(rng.integers(0, width - across)), int(rng.integers(0, height - down))
    return moved(edit, np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], np.float64), (across, down))


def resize(edit: Edit, _: Edit, rng: np.random.Generator) -> Edit:
    """Half to one and a half times the size."""
    height, width = edit.image.shape[:2]
    factor = rng.uniform(0.5, 1.5)
    size = (round(width * factor), round(height * factor))
    planes = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (edit.image, edit.truth, edit.changed)]
    x, y = size[0] / width, size[1] / height
    matrix = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]], np.float64)
    image, truth, changed = planes
    return replace(
        edit,
        image=image.astype(np.uint8),
        truth=truth.astype(np.float32),
        changed=changed.astype(np.float32),
        matrix=matrix @ edit.matrix,
    )


def rotate(edit: Edit, _: Edit, rng: np.random.Generator) -> Edit:
    """Up to 3 degrees, enlarged so far that no corner is empty."""
    height, width = edit.image.shape[:2]
    angle = rng.uniform(-3, 3)
    zoom = 1 + abs(np.sin(np.radians(angle))) * max(width / height, height / width)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, zoom)
    return moved(edit, np.vstack([matrix, [0, 0, 1]]).astype(np.float64), (width, height))


def mirror(edit: Edit, _: Edit, __: np.random.Generator) -> Edit:
    """Left to right."""
    width = edit.image.shape[1]
    return moved(edit, np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1]], np.float64), edit.image.shape[1::-1])


def regrade(edit: Edit, _: Edit, rng: np.random.Generator) -> Edit:
    """Exposure, temperature, contrast or an S-curve; what is newly clipped keeps its light in the truth."""
    linear = srgb_to_linear(edit.image.astype(np.float32) / 255)
    gain = 2 ** (rng.uniform(-0.7, 0.7) + rng.uniform(-0.15, 0.15) * np.array([1, 0, -1]))
    bright = linear * gain.astype(np.float32)
    encoded = linear_to_srgb(np.minimum(bright, 1))
    if rng.random() < 0.5:
        amount = rng.uniform(0.1, 0.5)
        curve = encoded + amount * encoded * (1 - encoded) * (encoded - 0.5) * 2
        encoded = np.clip(curve, 0, 1).astype(np.float32)
    spent = np.log2((luminance(bright) + 1e-3) / (luminance(np.minimum(bright, 1)) + 1e-3))
    truth = edit.truth + np.clip(spent, 0, MAX_SPENT)
    return replace(edit, image=np.asarray(encoded * 255 + 0.5, np.uint8), truth=np.asarray(truth, np.float32))


def look(edit: Edit, _: Edit, rng: np.random.Generator) -> Edit:
    """A strong look with saturation, as training knows it; the stops stay."""
    return replace(edit, image=graded(edit.image, rng, 1.5))


def smooth(edit: Edit, _: Edit, rng: np.random.Generator) -> Edit:
    """What denoisers leave."""
    calm = cv2.bilateralFilter(edit.image, 7, 30, 3)
    return replace(edit, image=np.asarray(cv2.GaussianBlur(calm, (0, 0), rng.uniform(0.5, 1.5)), np.uint8))


def low_quality(edit: Edit, _: Edit, __: np.random.Generator) -> Edit:
    """JPEG at quality 30."""
    coded = cv2.imencode(".jpg", edit.image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    return replace(edit, image=np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8))


def paste(edit: Edit, donor: Edit, rng: np.random.Generator) -> Edit:
    """A piece of another photo, with its own light, in a blob."""
    height, width = edit.image.shape[:2]
    centre = (int(rng.uniform(0.25, 0.75) * width), int(rng.uniform(0.25, 0.75) * height))
    axes = (int(rng.uniform(0.1, 0.2) * width), int(rng.uniform(0.1, 0.2) * height))
    blob = cv2.ellipse(np.zeros((height, width), np.float32), centre, axes, float(rng.uniform(0, 90)), 0, 360, 1.0, -1)
    return _laid(edit, donor, np.asarray(cv2.GaussianBlur(blob, (0, 0), 1.5), np.float32))


def sky(edit: Edit, donor: Edit, rng: np.random.Generator) -> Edit:
    """The upper part of another photo over the upper part."""
    height, width = edit.image.shape[:2]
    line = rng.uniform(0.2, 0.35) * height + 0.03 * height * np.sin(np.linspace(0, rng.uniform(3, 12), width))
    over = (np.arange(height)[:, None] < line[None]).astype(np.float32)
    return _laid(edit, donor, np.asarray(cv2.GaussianBlur(over, (0, 0), 1.5), np.float32))


def remove(edit: Edit, _: Edit, __: np.random.Generator) -> Edit:
    """The brightest spot is filled from around it, in photo and map."""
    height, width = edit.image.shape[:2]
    light = cv2.GaussianBlur(edit.truth, (0, 0), width / 60)
    inner = light[height // 6 : -height // 6, width // 6 : -width // 6]
    y, x = np.unravel_index(int(inner.argmax()), inner.shape)
    hole = np.zeros((height, width), np.uint8)
    cv2.circle(hole, (int(x) + width // 6, int(y) + height // 6), width // 14, 255, -1)
    image = cv2.inpaint(edit.image, hole, 5, cv2.INPAINT_TELEA)
    truth = cv2.inpaint(np.asarray(np.clip((edit.truth + 1) * 40, 0, 255), np.uint8), hole, 5, cv2.INPAINT_TELEA)
    mixed = np.where(hole > 0, truth.astype(np.float32) / 40 - 1, edit.truth)
    changed = np.maximum(edit.changed, (hole > 0).astype(np.float32))
    return replace(edit, image=np.asarray(image, np.uint8), truth=np.asarray(mixed, np.float32), changed=changed)


def borders(edit: Edit, _: Edit, rng: np.random.Generator) -> Edit:
    """Outpainting: up to a quarter more on each side, the scene going on mirrored."""
    height, width = edit.image.shape[:2]
    left, top, right, bottom = (int(share * side) for share, side in zip(
        rng.uniform(0.03, 0.25, 4), (width, height, width, height), strict=True))  # fmt: skip
    matrix = np.array([[1, 0, left], [0, 1, top], [0, 0, 1]], np.float64)
    wider = moved(edit, matrix, (width + left + right, height + top + bottom))
    changed = np.ones(wider.changed.shape, np.float32)
    changed[top : top + height, left : left + width] = edit.changed
    return replace(wider, changed=changed)


def mixture(edit: Edit, donor: Edit, rng: np.random.Generator) -> Edit:
    """One way to move the photo, one to change its content, one to grade it, one to spoil it."""
    for steps in ((crop, resize, rotate, borders), (paste, sky, remove), (regrade, look), (smooth, low_quality)):
        edit = steps[int(rng.integers(len(steps)))](edit, donor, rng)
    return edit


KINDS: Final[dict[str, Step]] = {
    step.__name__: step
    for step in (
        crop, resize, rotate, mirror, smooth, low_quality, regrade, look, paste, sky, remove, borders, mixture,
    )
}  # fmt: skip


def _laid(edit: Edit, donor: Edit, over: Plane) -> Edit:
    """Lay a photo over another; its gain over its own floor comes onto this one's, as this camera lifts pictures."""
    size = (edit.image.shape[1], edit.image.shape[0])
    image = cv2.resize(donor.image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    truth = cv2.resize(donor.truth, size, interpolation=cv2.INTER_AREA) + np.float32(edit.floor - donor.floor)
    mixed = edit.image * (1 - over[:, :, None]) + image * over[:, :, None]
    return replace(
        edit,
        image=np.asarray(mixed + 0.5, np.uint8),
        truth=np.asarray(edit.truth * (1 - over) + truth * over, np.float32),
        changed=np.maximum(edit.changed, over),
    )
