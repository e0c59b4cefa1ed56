"""One file made into four: each leaves a reader a single way to the gain map.

Chromium falls back from one way to the next, so on the whole file a broken way does not show.
"""

import struct

_ISO = b"urn:iso:std:iso:ts:21496:-1\0"
_HDRGM = b"ns.adobe.com/hdr-gain-map/1.0/"
_MP_ENTRY = 0xB002  # CIPA DC-007, 5.2.3: the tag of the MP entries
_NOWHERE = 7  # an offset at which no JPEG begins


def ways(jpeg: bytes) -> dict[str, bytes]:
    """The file with all but one way to the map made unreadable, in place: no byte moves, so no offset changes.

    `all`: as it is; `iso`: ISO 21496-1 by MPF; `xmp`: hdrgm by MPF; `container`: hdrgm by GContainer.
    Apple's private form is left alone: a file that has it may shine by any way through MPF.
    """
    no_iso = jpeg.replace(_ISO, b"urn:xxx:xxx:xxx:xx:xxxxx:xx\0")
    return {
        "all": jpeg,
        "iso": _without_container(jpeg.replace(_HDRGM, b"ns.xxxxx.xxx/xxx-xxxx-xxx/1.0/")),
        "xmp": _without_container(no_iso),
        "container": _with_lost_map(no_iso),
    }


def _without_container(jpeg: bytes) -> bytes:
    unnamed = jpeg.replace(b'Item:Semantic="GainMap"', b'Item:Semantic="XxxxXxx"')
    return unnamed.replace(b"Item:Length=", b"Item:Xxxxxx=")


def _with_lost_map(jpeg: bytes) -> bytes:
    """The second MP entry's offset overwritten: Chromium still wants an MPF that it can parse."""
    tiff = jpeg.find(b"MPF\0") + 4
    if tiff < 4:
        return jpeg
    order = ">" if jpeg[tiff : tiff + 2] == b"MM" else "<"
    ifd = tiff + struct.unpack_from(f"{order}I", jpeg, tiff + 4)[0]
    for i in range(struct.unpack_from(f"{order}H", jpeg, ifd)[0]):
        tag, _, _, entries = struct.unpack_from(f"{order}HHII", jpeg, ifd + 2 + 12 * i)
        if tag == _MP_ENTRY:
            where = tiff + entries + 16 + 8
            return jpeg[:where] + struct.pack(f"{order}I", _NOWHERE) + jpeg[where + 4 :]
    return jpeg
