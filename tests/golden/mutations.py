"""Fifty-two files, one change each to one good file, and what readers make of them."""

from dataclasses import replace
from functools import cache

from tests.golden.recipe import (
    HDRGM,
    ORDER,
    Recipe,
    build,
    common_denominator_payload,
    exif,
    iso_payload,
    profile,
    segment,
)

GOOD = Recipe()
_XMP_ONLY = replace(GOOD, iso=None, iso_primary=None)


def _hdrgm(**changes: str | None) -> dict[str, str]:
    """The good values with some replaced, or left out where None."""
    return {name: value for name, value in {**HDRGM, **changes}.items() if value is not None}


def _without(*names: str) -> tuple[str, ...]:
    return tuple(name for name in ORDER if name not in names)


def _large_icc() -> bytes:
    plain = profile()
    grown = (30_000).to_bytes(4) + plain[4:] + bytes(30_000 - len(plain))
    return segment(0xE2, b"ICC_PROFILE\0\x01\x01" + grown)


@cache
def recipes() -> dict[str, Recipe]:
    """Every file's recipe by name."""
    named = {
        "good": GOOD,
        "mpf_offset_abs_from_SOI": replace(GOOD, mpf_offset_from_start=True),
        "mpf_offset_plus2": replace(GOOD, mpf_offset_delta=2),
        "mpf_gm_size_minus400": replace(GOOD, mpf_map_size_delta=-400),
        "mpf_gm_size_plus400": replace(GOOD, mpf_map_size_delta=400),
        "mpf_primary_size_wrong": replace(GOOD, mpf_primary_size_delta=-77),
        "no_mpf": replace(GOOD, order=_without("mpf")),
        "container_len_plus7": replace(GOOD, container_length_delta=7),
        "no_container_dir": replace(GOOD, container=False),
        "primary_no_hdrgm_version": replace(GOOD, primary_version=None),
        "gm_no_hdrgm_version": replace(GOOD, hdrgm=_hdrgm(Version=None)),
        "no_iso_primary": replace(GOOD, iso_primary=None),
        "no_iso_gainmap": replace(GOOD, iso=None),
        "xmp_only_no_iso": _XMP_ONLY,
        "iso_only_no_xmp": replace(GOOD, hdrgm=None, primary_version=None, container=False),
        "iso_max4_xmp_max2": replace(GOOD, iso=iso_payload(high=4, alternate=4)),
        "seed_constant_iso": replace(GOOD, iso=iso_payload(-0.007401, 2.681641, alternate=2.681641, offset=1e-05)),
        "truncated_gainmap": replace(GOOD, truncate_map=300),
        "gm_cmyk": replace(GOOD, mode="CMYK"),
        "swapped_images": replace(GOOD, swapped=True),
        "no_icc": replace(GOOD, order=_without("icc")),
        "iso_min_version1_both": replace(GOOD, iso=iso_payload(version=1), iso_primary=b"\0\1\0\0"),
        "iso_writer_version1": replace(GOOD, iso=iso_payload(writer=1), iso_primary=b"\0\0\0\1"),
        "iso_common_denominator_flag": replace(GOOD, iso=common_denominator_payload()),
        "iso_zero_denominator": replace(GOOD, iso=iso_payload(denominator=0)),
        "pad100_mpf_right": replace(GOOD, padding=100),
        "order_old_libultrahdr": replace(
            GOOD, order=("jfif", "exif", "xmp", "icc", "mpf", "iso", "app13", "com", "xmpext")
        ),
        "mpf_before_exif_xmp": replace(
            GOOD, order=("jfif", "mpf", "exif", "xmp", "xmpext", "iso", "icc", "app13", "com")
        ),
        "mpf_last_before_SOS": replace(GOOD, order=(*_without("mpf"), "mpf")),
        "gm_exif_orientation6": replace(GOOD, map_extra=(segment(0xE1, exif(6)),)),
        "xmponly_BaseRenditionIsHDR_true": replace(_XMP_ONLY, hdrgm=_hdrgm(BaseRenditionIsHDR="True")),
        "xmponly_no_GainMapMax": replace(_XMP_ONLY, hdrgm=_hdrgm(GainMapMax=None)),
        "xmponly_no_HDRCapacityMax": replace(_XMP_ONLY, hdrgm=_hdrgm(HDRCapacityMax=None)),
        "capacity_max_eq_min": replace(
            GOOD,
            hdrgm=_hdrgm(HDRCapacityMin="1.000000", HDRCapacityMax="1.000000"),
            iso=iso_payload(base=1, alternate=1),
        ),
        "user_xmp_first_then_ours_noiso": replace(_XMP_ONLY, user_packet_apart=True),
        "hdrgm_version_1.1_noiso": replace(_XMP_ONLY, hdrgm=_hdrgm(Version="1.1"), primary_version="1.1"),
        "jfif_AMPF": replace(GOOD, ampf=True),
        "trailing_5000_bytes": replace(GOOD, trailing=bytes(range(250)) * 20),
        "iso_3ch_payload_gray_map": replace(GOOD, iso=iso_payload(flags=0xC0, channels=3)),
        "xmponly_seed_linear_capacity_1_8": replace(
            _XMP_ONLY, hdrgm=_hdrgm(HDRCapacityMin="1.000000", HDRCapacityMax="8.000000")
        ),
        "neg_offset_iso": replace(GOOD, iso=iso_payload(offset=-0.01)),
        "gm_wrong_aspect": replace(GOOD, map_size=(40, 40)),
        "no_iso_no_container_mpf_ok": replace(_XMP_ONLY, container=False),
        "no_iso_mpf_bad_container_ok": replace(_XMP_ONLY, mpf_offset_delta=2),
        "iso_backward_flag": replace(GOOD, iso=iso_payload(flags=0x44)),
        "iso_use_base_cs_0_noicc_gm": replace(GOOD, iso=iso_payload(flags=0)),
        "gm_large_icc": replace(GOOD, map_extra=(_large_icc(),)),
        "iso_common_denom_max4_xmp2": replace(GOOD, iso=common_denominator_payload(high=4)),
        "iso_reserved_flag_01": replace(GOOD, iso=iso_payload(flags=0x41)),
        "exif_before_jfif": replace(GOOD, order=("exif", "jfif", *_without("exif", "jfif"))),
        "container_padding100": replace(GOOD, padding=100, container_padding=100),
        "two_EXIF": replace(GOOD, order=("jfif", "exif", "exif", *_without("exif", "jfif"))),
    }
    return {f"{number:02d}_{name}": recipe for number, (name, recipe) in enumerate(named.items())}


@cache
def matrix() -> dict[str, bytes]:
    """Every file by name."""
    return {name: build(recipe) for name, recipe in recipes().items()}
