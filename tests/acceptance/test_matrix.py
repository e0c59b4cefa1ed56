"""The fifty-two files: what the auditor says, and what the readers it speaks of really do."""

from dataclasses import dataclass

import pytest

from shared.ultrahdr import Severity, audit
from tests.golden.mutations import matrix, recipes
from tests.readers.chromium import Chromium
from tests.readers.external import libultrahdr

PEAK = (1 + 1 / 64) * 4 - 1 / 64  # of the good file: SDR white, 2 stops, offsets of 1/64


@dataclass(frozen=True)
class Verdict:
    """The gravest severity, a code that must be among the findings, and who reads the file.

    `uhdr`: libultrahdr decodes it. `chrome`: the peak that Chromium shows, 1 where it
    shows SDR, 0 where it computes NaN. `ways`: those
    of Chromium's ways to the map that still work (i = ISO, x = hdrgm by MPF, c = hdrgm by GContainer).
    """

    severity: Severity | None
    code: str | None = None
    uhdr: bool = True
    chrome: float = PEAK
    ways: str = "ixc"


E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE
VERDICTS = {
    "00_good": Verdict(None),
    "01_mpf_offset_abs_from_SOI": Verdict(E, "mpf_offset", ways="c"),
    "02_mpf_offset_plus2": Verdict(E, "mpf_offset", ways="c"),
    "03_mpf_gm_size_minus400": Verdict(E, "mpf_map_size_short", ways="c"),
    "04_mpf_gm_size_plus400": Verdict(E, "mpf_map_size_long", ways="c"),
    "05_mpf_primary_size_wrong": Verdict(N, "mpf_primary_size"),
    "06_no_mpf": Verdict(E, "no_mpf", chrome=1, ways=""),
    "07_container_len_plus7": Verdict(E, "container_length", ways="ix"),
    "08_no_container_dir": Verdict(W, "no_container", ways="ix"),
    "09_primary_no_hdrgm_version": Verdict(E, "hdrgm_version_in_primary", ways="i"),
    "10_gm_no_hdrgm_version": Verdict(E, "hdrgm_version_in_map", ways="i"),
    "11_no_iso_primary": Verdict(E, "iso_missing_in_primary", ways="xc"),
    "12_no_iso_gainmap": Verdict(E, "iso_missing_in_map", ways="xc"),
    "13_xmp_only_no_iso": Verdict(W, "no_iso", ways="xc"),
    "14_iso_only_no_xmp": Verdict(W, "no_hdrgm", ways="i"),
    "15_iso_max4_xmp_max2": Verdict(E, "iso_hdrgm_differ", chrome=16.234),
    "16_seed_constant_iso": Verdict(E, "iso_hdrgm_differ", chrome=6.416),
    "17_truncated_gainmap": Verdict(E, "truncated_map", uhdr=False, chrome=1, ways=""),
    "18_gm_cmyk": Verdict(E, "map_components", uhdr=False),
    "19_swapped_images": Verdict(E, "swapped_images", uhdr=False, chrome=1, ways=""),
    "20_no_icc": Verdict(N, "no_icc"),
    "21_iso_min_version1_both": Verdict(E, "iso_minimum_version", uhdr=False, ways="xc"),
    "22_iso_writer_version1": Verdict(N, "iso_writer_version"),
    "23_iso_common_denominator_flag": Verdict(E, "iso_common_denominator", ways="xc"),
    "24_iso_zero_denominator": Verdict(E, "iso_zero_denominator", uhdr=False, chrome=0, ways="xc"),
    "25_pad100_mpf_right": Verdict(E, "container_place", ways="ix"),
    "26_order_old_libultrahdr": Verdict(None),
    "27_mpf_before_exif_xmp": Verdict(N, "mpf_before_exif"),
    "28_mpf_last_before_SOS": Verdict(None),
    "29_gm_exif_orientation6": Verdict(W, "exif_in_map"),
    "30_xmponly_BaseRenditionIsHDR_true": Verdict(E, "base_rendition_is_hdr", uhdr=False, chrome=1, ways="xc"),
    "31_xmponly_no_GainMapMax": Verdict(E, "hdrgm_no_gain_map_max", uhdr=False, chrome=2.016, ways="xc"),
    "32_xmponly_no_HDRCapacityMax": Verdict(E, "hdrgm_no_hdr_capacity_max", uhdr=False, ways="xc"),
    "33_capacity_max_eq_min": Verdict(E, "iso_values", uhdr=False, chrome=1),
    "34_user_xmp_first_then_ours_noiso": Verdict(E, "two_xmp_packets", chrome=1, ways=""),
    "35_hdrgm_version_1.1_noiso": Verdict(E, "hdrgm_version_in_map", uhdr=False, chrome=1, ways=""),
    "36_jfif_AMPF": Verdict(None),
    "37_trailing_5000_bytes": Verdict(W, "trailing_bytes"),
    "38_iso_3ch_payload_gray_map": Verdict(N, "three_channels_on_grey"),
    "39_xmponly_seed_linear_capacity_1_8": Verdict(E, "linear_in_log2", ways="xc"),
    "40_neg_offset_iso": Verdict(E, "iso_values", uhdr=False, chrome=3.97),
    "41_gm_wrong_aspect": Verdict(W, "wrong_aspect"),
    "42_no_iso_no_container_mpf_ok": Verdict(W, "no_container", ways="x"),
    "43_no_iso_mpf_bad_container_ok": Verdict(E, "mpf_offset", ways="c"),
    "44_iso_backward_flag": Verdict(E, "iso_backward", uhdr=False),
    "45_iso_use_base_cs_0_noicc_gm": Verdict(N, "map_color_space"),
    "46_gm_large_icc": Verdict(W, "icc_in_map"),
    "47_iso_common_denom_max4_xmp2": Verdict(E, "iso_hdrgm_differ", ways="xc"),
    "48_iso_reserved_flag_01": Verdict(W, "iso_reserved_flag"),
    "49_exif_before_jfif": Verdict(N, "jfif_not_first"),
    "50_container_padding100": Verdict(W, "padding"),
    "51_two_EXIF": Verdict(W, "two_exif"),
}
_WAYS = {"iso": "i", "xmp": "x", "container": "c"}


def test_every_file_has_a_verdict() -> None:
    assert list(VERDICTS) == list(recipes())
    assert len(set(matrix().values())) == len(VERDICTS) == 52


@pytest.mark.parametrize("name", VERDICTS)
def test_the_auditor_says_what_is_wrong(name: str) -> None:
    findings, expected = audit(matrix()[name]), VERDICTS[name]
    assert (findings[0].severity if findings else None) == expected.severity, findings
    assert expected.code is None or expected.code in {f.code for f in findings}, findings
    assert all(f.mend and f.message for f in findings)
    assert all(f.readers for f in findings if f.severity is Severity.ERROR)


@pytest.mark.parametrize("name", VERDICTS)
def test_libultrahdr_decodes_what_it_should(name: str) -> None:
    assert (libultrahdr(matrix()[name]) is not None) == VERDICTS[name].uhdr


@pytest.mark.chromium
@pytest.mark.parametrize("name", VERDICTS)
def test_chromium_shows_what_the_auditor_is_judged_by(name: str, chromium: Chromium) -> None:
    expected = VERDICTS[name]
    assert chromium.peak(matrix()[name]) == pytest.approx(expected.chrome, rel=0.01)
    found = chromium.four_ways(matrix()[name])
    if expected.chrome > 1:
        assert "".join(sign for way, sign in _WAYS.items() if found[way] is not None) == expected.ways


def test_an_error_is_reported_wherever_a_stock_viewer_stumbles() -> None:
    """The table itself must not call a file harmless that libultrahdr refuses or Chromium shows flat."""
    lost = {name for name, verdict in VERDICTS.items() if not verdict.uhdr or verdict.chrome <= 1}
    assert {name for name in lost if VERDICTS[name].severity is not Severity.ERROR} == set()
