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
from shared.imaging.decode import fit_within, upright_srgb
from shared.imaging.encode import encode_gain_map, encode_mask
from shared.imaging.gain_map import recovery
from shared.imaging.orientation import to_stored
from shared.imaging.original import Original
from shared.imaging.photo import Photo, PhotoError, open_photo
from shared.options import MetadataOf, Options
from shared.ultrahdr import AppleGainMap, Finding, GainMapMetadata, Severity, UltraHdrError, assemble, audit, parse
from shared.ultrahdr.camera import with_camera_data
from worker.guided.align import LONG_SIDE
from worker.guided.confidence import Guided
from worker.guided.guide import guide, opened, without
from worker.predictors import Predictor

LARGE_PHOTO: Final = 4_000_000  # pixels: from here the map is stored at a quarter per side, else at half
OFFSET: Final = 1 / 64  # linear light: keeps the ratio finite in black (Ultra HDR v1, "OffsetSDR")
APPLE_OFFSET: Final = 1e-5  # linear light: Apple's older form has none, its ISO files write this
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
    """A finished photo: the file's bytes and what is to be said about it.

    `timings` are seconds by stage; `guided` says how an original was used, where there was one; `mask` is a small
    grey PNG, upright, white where the map was predicted and black where it was transferred; `megapixels` is the
    photo's size, 0 where nothing was decoded.
    """

    outcome: Outcome
    data: bytes
    metadata: GainMapMetadata | None
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]
    model: str | None
    timings: dict[str, float] = field(default_factory=dict)
    guided: Guided | None = None
    megapixels: float = 0.0
    mask: bytes | None = None


def restore(
    data: bytes,
    predictor: Predictor,
    options: Options,
    report: Callable[[Stage], None] | None = None,
    original: bytes | None = None,
) -> Result:
    """Give a flat photo a gain map.

    Args:
        data: a JPEG, whose scan bytes are kept, or a PNG, WebP, TIFF, HEIC or AVIF, which is encoded once.
        predictor: a loaded model.
        options: strength and the like.
        report: told each stage as it begins, where given.
        original: the HDR photo that was edited, where it is at hand; its map is transferred where it still holds.

    Raises:
        RestoreError: the input is not usable, the original is not this photo's (unless options say to go on
            without it), or the finished file did not pass our own audit.
    """
    clock = _Clock(report)
    try:
        with clock.stage(Stage.DECODE):
            photo = open_photo(data)
            if not options.replace and parse(photo.base_jpeg).is_hdr:
                return _unchanged(data)
            width, height = upright_size(photo)
            map_size = map_size_of(width, height)
            seen = predictor.input_size(width, height)
            image = upright_srgb(photo, max(map_size, seen))
            source, unread = (None, None) if original is None else opened(original, options)
        with clock.stage(Stage.PREDICT):
            joined = None
            stops = predictor.predict(image, map_size, seen)
            if source is not None:
                # Decoded anew, larger: what the network sees must not depend on whether there is an original.
                edit = upright_srgb(photo, max(map_size, fit_within(width, height, LONG_SIDE)))
                joined = guide(source, edit, stops, options)
                stops = joined.stops
            elif unread is not None:
                joined = without(unread, None, stops)
        truth = source if joined is not None and joined.guided.transferred > 0 else None
        with clock.stage(Stage.ENCODE):
            map_jpeg, metadata = encode(stops, photo.orientation, options, truth)
            mask = None if joined is None or truth is None else encode_mask(joined.mask)
        with clock.stage(Stage.ASSEMBLE):
            base = photo.base_jpeg
            if truth is not None and options.metadata == MetadataOf.ORIGINAL:
                base = with_camera_data(base, truth.exif, truth.packets, photo.orientation)
            finished = assemble(base, map_jpeg, metadata)
        with clock.stage(Stage.VERIFY):
            findings = verify(finished)
    except (PhotoError, UltraHdrError) as error:
        raise RestoreError(error.code, str(error)) from error
    guided = None if joined is None else joined.guided
    notes = photo.notes if guided is None or guided.reason is None else (*photo.notes, guided.reason)
    return Result(
        Outcome.RESTORED,
        finished,
        metadata,
        notes,
        findings,
        predictor.name,
        clock.seconds,
        guided,
        round(width * height / 1e6, 3),
        mask,
    )


def map_size_of(width: int, height: int) -> tuple[int, int]:
    """The stored map's size for a photo's, both (width, height) in pixels."""
    divisor = 4 if width * height >= LARGE_PHOTO else 2
    return max(1, round(width / divisor)), max(1, round(height / divisor))


def encode(
    stops: NDArray[np.float32], orientation: int, options: Options, truth: Original | None = None
) -> tuple[bytes, GainMapMetadata]:
    """A map of stops (h, w) or (h, w, 3), upright, as a JPEG in the photo's own orientation, and its metadata.

    The samples always span the map's least to its most; strength and headroom are in the metadata alone. Offsets
    and headroom are those of the original whose map it is, where there is one.
    """
    low = min(0.0, float(stops.min()))
    peak = max(float(stops.max()), low + LEAST_PEAK, LEAST_PEAK)
    samples = recovery(stops, _metadata(low, peak, peak, (OFFSET, OFFSET)))
    headroom = peak if truth is None else max(headroom_of(truth), LEAST_PEAK)
    strength = options.strength
    if options.max_headroom is not None:
        strength = min(strength, options.max_headroom / headroom)
    # Three equal channels where the map has three: some readers take the number of channels from the metadata.
    metadata = _metadata(
        low * strength, peak * strength, headroom * strength, offsets_of(truth), channels=1 if stops.ndim == 2 else 3
    )
    return encode_gain_map(np.ascontiguousarray(to_stored(samples, orientation))), metadata


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


def upright_size(photo: Photo) -> tuple[int, int]:
    """Width and height in pixels as the photo is to be seen."""
    return (photo.height, photo.width) if photo.orientation >= 5 else (photo.width, photo.height)


def offsets_of(truth: Original | None) -> tuple[float, float]:
    """Base and alternate offset in linear light: the original's own, ours where there is none."""
    if truth is None:
        return OFFSET, OFFSET
    if isinstance(truth.metadata, AppleGainMap):
        return APPLE_OFFSET, APPLE_OFFSET
    return float(truth.metadata.base_offset[0]), float(truth.metadata.alternate_offset[0])


def headroom_of(truth: Original) -> float:
    """The headroom in stops at which an original's map applies in full."""
    if isinstance(truth.metadata, AppleGainMap):
        return truth.metadata.headroom
    return float(truth.metadata.alternate_hdr_headroom)


def _metadata(
    low: float, peak: float, headroom: float, offsets: tuple[float, float], channels: int = 1
) -> GainMapMetadata:
    return GainMapMetadata.from_floats(
        gain_map_min=[low] * channels,
        gain_map_max=[peak] * channels,
        gamma=1.0,
        base_offset=offsets[0],
        alternate_offset=offsets[1],
        base_hdr_headroom=0.0,
        alternate_hdr_headroom=headroom,
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
