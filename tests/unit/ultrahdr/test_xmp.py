"""XMP: one table of hdrgm values and text, other writers' spellings, and packets that resist editing."""

import hashlib
import struct

import pytest

from shared.ultrahdr import GainMapMetadata, UltraHdrError, assemble, parse
from shared.ultrahdr.segments import XMP, XMP_EXTENSION, walk
from shared.ultrahdr.xmp.read import metadata_of, read
from shared.ultrahdr.xmp.write import gain_map_packet, primary_packets
from tests.golden.recipe import USER, gain_map_image, packet, photo, segment

NAMESPACE = "http://ns.adobe.com/hdr-gain-map/1.0/"
NS = f'xmlns:hdrgm="{NAMESPACE}"'
PLAIN = GainMapMetadata.from_floats(
    gain_map_min=-0.25, gain_map_max=2, gamma=0.874512, base_offset=1 / 64, alternate_offset=0,
    base_hdr_headroom=0, alternate_hdr_headroom=2.5,
)  # fmt: skip
THREE = GainMapMetadata.from_floats(
    gain_map_min=0, gain_map_max=[1, 2, 3], gamma=1, base_offset=0, alternate_offset=0,
    base_hdr_headroom=0, alternate_hdr_headroom=3,
)  # fmt: skip
# Value, and the description that says it, attribute for attribute.
CASES = [
    (
        PLAIN,
        f'<rdf:Description rdf:about="" {NS} hdrgm:Version="1.0" hdrgm:GainMapMin="-0.250000" '
        'hdrgm:GainMapMax="2.000000" hdrgm:Gamma="0.874512" hdrgm:OffsetSDR="0.015625" '
        'hdrgm:OffsetHDR="0.000000" hdrgm:HDRCapacityMin="0.000000" hdrgm:HDRCapacityMax="2.500000" '
        'hdrgm:BaseRenditionIsHDR="False"/>',
    ),
    (
        THREE,
        f'<rdf:Description rdf:about="" {NS} hdrgm:Version="1.0" hdrgm:GainMapMin="0.000000" '
        'hdrgm:Gamma="1.000000" hdrgm:OffsetSDR="0.000000" hdrgm:OffsetHDR="0.000000" '
        'hdrgm:HDRCapacityMin="0.000000" hdrgm:HDRCapacityMax="3.000000" hdrgm:BaseRenditionIsHDR="False">'
        "<hdrgm:GainMapMax><rdf:Seq><rdf:li>1.000000</rdf:li><rdf:li>2.000000</rdf:li>"
        "<rdf:li>3.000000</rdf:li></rdf:Seq></hdrgm:GainMapMax></rdf:Description>",
    ),
]


@pytest.mark.parametrize(("value", "text"), CASES)
def test_writes(value: GainMapMetadata, text: str) -> None:
    assert gain_map_packet(value) == packet(text)


@pytest.mark.parametrize(("value", "text"), CASES)
def test_reads(value: GainMapMetadata, text: str) -> None:
    assert metadata_of(read(packet(text))) == value


def test_reads_elements_another_prefix_rationals_and_utf16() -> None:
    text = (
        f'<rdf:Description rdf:about="" xmlns:g="{NAMESPACE}"><g:Version>1.0</g:Version>'
        "<g:GainMapMin>-1/4</g:GainMapMin><g:GainMapMax> 2 </g:GainMapMax><g:Gamma>0.874512</g:Gamma>"
        "<g:OffsetHDR>0</g:OffsetHDR><g:HDRCapacityMax>2.5</g:HDRCapacityMax></rdf:Description>"
    )
    assert metadata_of(read(packet(text))) == PLAIN
    assert metadata_of(read(packet(text).decode().encode("utf-16"))) == PLAIN


@pytest.mark.parametrize(
    "change",
    [
        ('Version="1.0"', 'Version="1.1"'),
        ('Version="1.0"', 'Other="1.0"'),
        ('IsHDR="False"', 'IsHDR="True"'),
        ('Max="2.000000"', 'Max="two"'),
        ('Max="2.000000"', 'Max="nan"'),
        ('Max="2.000000"', 'Max="1e999"'),
        ('Max="2.000000"', 'Max="2/0"'),
        ('Max="2.000000"', 'Max="9000"'),
        ('Gamma="0.874512"', 'Gamma="0"'),
    ],
)
def test_refuses_what_no_reader_applies(change: tuple[str, str]) -> None:
    text = CASES[0][1].replace(*change)
    assert text != CASES[0][1]
    with pytest.raises(UltraHdrError):
        metadata_of(read(packet(text)))


def written(*user: bytes, extension: bytes | None = None) -> str:
    """The standard packet that comes of the user's."""
    return primary_packets(list(user), extension, 4711).standard.decode()


def test_stale_properties_go_and_the_users_stay() -> None:
    old = CASES[0][1].replace("/>", ' xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="kept"/>')
    out = written(packet(old + USER))
    assert "GainMapMax" not in out
    assert 'dc:format="kept"' in out
    assert USER in out
    assert [(item.semantic, item.length) for item in read(out.encode()).items] == [
        ("Primary", None), ("GainMap", 4711),
    ]  # fmt: skip


ELEMENT = f'<Gamma xmlns="{NAMESPACE}">7</Gamma>'
ESCAPED = NS.replace(":/", "&#58;/")
TREE = "<a>" * 5000 + '<!-- hdrgm:Gamma="7" -->' + "</a>" * 5000
RESISTING = {
    "default namespace": f'<rdf:Description rdf:about="">{ELEMENT}</rdf:Description>',
    "escaped namespace": f'<rdf:Description rdf:about="" {ESCAPED} hdrgm:Gamma="7"/>',
    "end in a comment": "<!-- </rdf:RDF> -->",
    "many prefixes": "".join(f'<rdf:Description xmlns:p{i}="{NAMESPACE}" p{i}:Gamma="7"/>' for i in range(300)),
    "deep": f"<rdf:Description>{TREE}</rdf:Description>",
    "deep and stale": f'<rdf:Description {NS} hdrgm:Gamma="7">{TREE}</rdf:Description>',
    "sign in a value": f'<rdf:Description {NS}><hdrgm:Gamma a=">">7</hdrgm:Gamma></rdf:Description>',
}


@pytest.mark.parametrize("name", RESISTING)
def test_packets_that_resist_editing(name: str) -> None:
    out = written(packet(USER + RESISTING[name])).encode()
    found = read(out)
    assert found.hdrgm == {"Version": ("1.0",)}
    assert [item.semantic for item in found.items] == ["Primary", "GainMap"]
    assert b'dc:format="image/jpeg"' in out
    assert out.startswith(b"<x:xmpmeta")


def test_a_packet_without_xmpmeta_gets_one() -> None:
    bare = packet(USER).decode().removeprefix('<x:xmpmeta xmlns:x="adobe:ns:meta/">').removesuffix("</x:xmpmeta>")
    out = written(bare.encode())
    assert out.startswith("<x:xmpmeta")
    assert USER in out
    assert read(out.encode()).has_directory


def test_two_packets_become_one() -> None:
    other = '<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Make="kept"/>'
    out = written(packet(USER), packet(other))
    assert 'tiff:Make="kept"' in out
    assert 'dc:format="image/jpeg"' in out
    assert read(out.encode()).has_directory


def test_what_was_written_before_does_not_change_what_is_written_next() -> None:
    """A writer that keeps namespace prefixes for the whole process would fail here."""
    two = [packet(USER), packet(USER)]
    before = written(*two)
    written(*(text.replace(b"dc", b"other") for text in two))
    assert written(*two) == before


def test_stale_properties_leave_the_extended_packet_too() -> None:
    big = packet(f'{CASES[0][1]}<rdf:Description xmlns:a="urn:a" a:kept="yes"/>')
    old = hashlib.md5(big).hexdigest().upper()
    note = f'<rdf:Description xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{old}"/>'
    chunk = segment(0xE1, XMP_EXTENSION + old.encode() + struct.pack(">II", len(big), 0) + big)
    base = photo()[:2] + segment(0xE1, XMP + packet(note)) + chunk + photo()[2:]
    out = assemble(base, gain_map_image("L", (40, 27)), PLAIN)
    payloads = [s.payload for s in walk(out).segments if s.payload.startswith(XMP_EXTENSION)]
    extended = payloads[0][len(XMP_EXTENSION) + 40 :]
    assert len(payloads) == 1
    assert b'a:kept="yes"' in extended
    assert b"GainMapMax" not in extended
    guid = hashlib.md5(extended).hexdigest().upper()
    assert payloads[0][len(XMP_EXTENSION) :].startswith(guid.encode())
    assert f'HasExtendedXMP="{guid}"'.encode() in out
    assert old.encode() not in out
    assert parse(out).metadata == PLAIN
