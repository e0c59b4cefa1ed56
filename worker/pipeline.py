"""The way of one photo: decode, predict, encode, assemble, verify. Bytes to bytes, no I/O."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import RestoreError
from shared.imaging.decode import upright_srgb
from shared.imaging.encode import encode_gain_map
from shared.imaging.gain_map import recovery
from shared.imaging.orientation import to_stored
from shared.imaging.photo import Photo, PhotoError, open_photo
from shared.options import Options
from shared.ultrahdr import Finding, GainMapMetadata, Severity, UltraHdrError, assemble, audit, parse
from worker.predictors import Predictor

LARGE_PHOTO: Final = 4_000_000  # pixels: from here the map is stored at a quarter per side, else at half
OFFSET: Final = 1 / 64  # linear light: keeps the ratio finite in black (Ultra HDR v1, "OffsetSDR")
LEAST_PEAK: Final = 1 / 16  # stops: a photo in which nothing shines still needs max > min


class Stage(StrEnum):
    """What is being done to a photo, in this order."""

    DECODE = "decode"
    PREDICT = "predict"
    ENCODE = "encode"
    ASSEMBLE = "assemble"
    VERIFY = "verify"


class Outcome(StrEnum):
    """What became of a photo."""

    RESTORED = "restored"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Result:
    """A finished photo: the file's bytes and what is to be said about it; `timings` in seconds by stage."""

    outcome: Outcome
    data: bytes
    metadata: GainMapMetadata | None
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]
    model: str | None
    timings: dict[str, float] = field(default_factory=dict)


def restore(
    data: bytes, predictor: Predictor, options: Options, report: Callable[[Stage], None] | None = None
) -> Result:
    """Give a flat photo a gain map.

    Args:
        data: a JPEG, whose scan bytes are kept, or a PNG, WebP, TIFF, HEIC or AVIF, which is encoded once.
        predictor: a loaded model.
        options: strength and the like.
        report: told each stage as it begins, where given.

    Raises:
        RestoreError: the input is not usable, or the finished file did not pass our own audit.
    """
    clock = _Clock(report)
    try:
        with clock.stage(Stage.DECODE):
            photo = open_photo(data)
            if not options.replace and parse(photo.base_jpeg).is_hdr:
                return _unchanged(data)
            image, map_size = _decode(photo, predictor)
        with clock.stage(Stage.PREDICT):
            stops = predictor.predict(image, map_size)
        with clock.stage(Stage.ENCODE):
            map_jpeg, metadata = encode(stops, photo.orientation, options)
        with clock.stage(Stage.ASSEMBLE):
            finished = assemble(photo.base_jpeg, map_jpeg, metadata)
        with clock.stage(Stage.VERIFY):
            findings = verify(finished)
    except (PhotoError, UltraHdrError) as error:
        raise RestoreError(error.code, str(error)) from error
    return Result(Outcome.RESTORED, finished, metadata, photo.notes, findings, predictor.name, clock.seconds)


def map_size_of(width: int, height: int) -> tuple[int, int]:
    """The stored map's size for a photo's, both (width, height) in pixels."""
    divisor = 4 if width * height >= LARGE_PHOTO else 2
    return max(1, round(width / divisor)), max(1, round(height / divisor))


def encode(stops: NDArray[np.float32], orientation: int, options: Options) -> tuple[bytes, GainMapMetadata]:
    """A map of stops (h, w), upright, as a grey JPEG in the photo's own orientation, and its metadata.

    The samples always span 0 to the map's peak; strength and headroom are in the metadata alone.
    """
    peak = max(float(stops.max()), LEAST_PEAK)
    samples = recovery(stops, _metadata(peak))
    strength = options.strength
    if options.max_headroom is not None:
        strength = min(strength, options.max_headroom / peak)
    return encode_gain_map(np.ascontiguousarray(to_stored(samples, orientation))), _metadata(peak * strength)


def verify(finished: bytes) -> tuple[Finding, ...]:
    """What our own auditor says of a finished file.

    Raises:
        RestoreError: an error that some reader would stumble over; such a file must not leave.
    """
    findings = tuple(audit(finished))
    for finding in findings:
        if finding.severity is Severity.ERROR:
            raise RestoreError("audit_failed", f"the finished file did not pass the audit: {finding.message}")
    return findings


def _unchanged(data: bytes) -> Result:
    """What is said of a photo that has a gain map; that some readers do not find it is no reason to lose it."""
    findings = tuple(audit(data))
    broken = ", ".join(finding.code for finding in findings if finding.severity is Severity.ERROR)
    notes = ["already HDR: kept as it is"]
    if broken:
        notes.append(f"but some readers stumble over it ({broken}; `regain audit` says more)")
    return Result(Outcome.UNCHANGED, data, None, tuple(notes), findings, None)


def _decode(photo: Photo, predictor: Predictor) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The upright sRGB picture, as large as model and map need, and the upright map's size."""
    turned = photo.orientation >= 5
    width, height = (photo.height, photo.width) if turned else (photo.width, photo.height)
    map_size = map_size_of(width, height)
    wanted = predictor.input_size(width, height)
    return upright_srgb(photo, max(map_size, wanted)), map_size


def _metadata(peak: float) -> GainMapMetadata:
    return GainMapMetadata.from_floats(
        gain_map_min=0.0,
        gain_map_max=peak,
        gamma=1.0,
        base_offset=OFFSET,
        alternate_offset=OFFSET,
        base_hdr_headroom=0.0,
        alternate_hdr_headroom=peak,
    )


class _Clock:
    """Seconds of wall clock by stage."""

    def __init__(self, report: Callable[[Stage], None] | None) -> None:
        self.seconds: dict[str, float] = {}
        self._report = report

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        if self._report is not None:
            self._report(stage)
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage.value] = round(time.perf_counter() - begun, 4)
