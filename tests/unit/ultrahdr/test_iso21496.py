"""The ISO 21496-1 payload: one table of values and bytes, read and written."""

from fractions import Fraction
from typing import Any

import pytest

from shared.ultrahdr import GainMapMetadata, UltraHdrError, iso21496

MILLION = "000f4240"
PLAIN = GainMapMetadata.from_floats(
    gain_map_min=0, gain_map_max=2, gamma=1, base_offset=1 / 64, alternate_offset=1 / 64,
    base_hdr_headroom=0, alternate_hdr_headroom=2,
)  # fmt: skip
NEGATIVE = GainMapMetadata.from_floats(
    gain_map_min=-0.5, gain_map_max=1.25, gamma=0.874512, base_offset=0, alternate_offset=1e-05,
    base_hdr_headroom=0, alternate_hdr_headroom=3.5, use_base_color_space=False,
)  # fmt: skip
THREE = GainMapMetadata.from_floats(
    gain_map_min=[0, 0.1, 0.2], gain_map_max=[1, 2, 3], gamma=1, base_offset=0, alternate_offset=0,
    base_hdr_headroom=0, alternate_hdr_headroom=3,
)  # fmt: skip


def _n(numerator: int) -> str:
    return f"{numerator & 0xFFFFFFFF:08x}{MILLION}"


# Value and bytes: version, flags, headrooms, then per channel min, max, gamma, base and alternate offset.
CASES = [
    (PLAIN, "00000000" "40" + _n(0) + _n(2_000_000) + _n(0) + _n(2_000_000) + _n(1_000_000) + _n(15625) * 2),
    (
        NEGATIVE,
        "00000000" "00" + _n(0) + _n(3_500_000) + _n(-500_000) + _n(1_250_000) + _n(874_512) + _n(0) + _n(10),
    ),
    (
        THREE,
        "00000000" "c0" + _n(0) + _n(3_000_000)
        + _n(0) + _n(1_000_000) + _n(1_000_000) + _n(0) * 2
        + _n(100_000) + _n(2_000_000) + _n(1_000_000) + _n(0) * 2
        + _n(200_000) + _n(3_000_000) + _n(1_000_000) + _n(0) * 2,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("value", "text"), CASES)
def test_writes(value: GainMapMetadata, text: str) -> None:
    assert iso21496.encode(value).hex() == text


@pytest.mark.parametrize(("value", "text"), CASES)
def test_reads(value: GainMapMetadata, text: str) -> None:
    assert iso21496.decode(bytes.fromhex(text)) == value


@pytest.mark.parametrize(("value", "text"), CASES)
def test_reads_with_bytes_behind_it_and_never_cut_off(value: GainMapMetadata, text: str) -> None:
    payload = bytes.fromhex(text)
    assert iso21496.decode(payload + b"more") == value
    for length in range(len(payload)):
        with pytest.raises(UltraHdrError):
            iso21496.decode(payload[:length])


def test_lengths_are_the_standards() -> None:
    assert len(iso21496.encode(PLAIN)) == 61
    assert len(iso21496.encode(THREE)) == 141


def test_reads_the_withdrawn_common_denominator_layout() -> None:
    text = (
        "0000000048"
        + MILLION
        + f"{0:08x}{2_000_000:08x}"
        + f"{0:08x}{2_000_000:08x}{1_000_000:08x}{15625:08x}{15625:08x}"
    )
    assert iso21496.decode(bytes.fromhex(text)) == PLAIN


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((0, "0001"), "minimum_version"),
        ((4, "44"), "backward"),
        ((9, "00000000"), "zero"),
        ((17, "00000000"), "zero"),
    ],
)
def test_refuses_what_readers_refuse(change: tuple[int, str], reason: str) -> None:
    payload = bytearray(iso21496.encode(PLAIN))
    where, text = change
    payload[where : where + len(text) // 2] = bytes.fromhex(text)
    with pytest.raises(UltraHdrError, match=reason):
        iso21496.decode(bytes(payload))


@pytest.mark.parametrize(
    "changes",
    [
        {"gain_map_max": -1.0},
        {"gamma": 0.0},
        {"base_offset": -0.1},
        {"alternate_offset": -0.1},
        {"alternate_hdr_headroom": 0.0},
        {"base_hdr_headroom": -1.0},
        {"gain_map_max": 2147.0, "alternate_hdr_headroom": 1.0},
        {"gain_map_max": float("nan")},
        {"alternate_hdr_headroom": float("inf")},
        {"gain_map_min": [0.0, 0.0]},
    ],
)
def test_metadata_refuses_what_no_reader_accepts(changes: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "gain_map_min": 0.0, "gain_map_max": 2.0, "gamma": 1.0, "base_offset": 0.0, "alternate_offset": 0.0,
        "base_hdr_headroom": 0.0, "alternate_hdr_headroom": 2.0,
    }  # fmt: skip
    with pytest.raises(UltraHdrError) as caught:
        GainMapMetadata.from_floats(**{**good, **changes})
    assert caught.value.code == "bad_metadata"


def test_numbers_are_rounded_to_what_both_standards_can_say() -> None:
    third = GainMapMetadata.from_floats(
        gain_map_min=0, gain_map_max=1 / 3, gamma=1, base_offset=0, alternate_offset=0,
        base_hdr_headroom=0, alternate_hdr_headroom=1 / 3,
    )  # fmt: skip
    assert third.gain_map_max == (Fraction(333_333, 1_000_000),)
