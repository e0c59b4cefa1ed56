"""What an audit says, and who is concerned."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CHROMIUM: Final = "Chromium"
ANDROID: Final = "Android (libultrahdr)"
OLD_ANDROID: Final = "Android 14 (hdrgm only)"
APPLE: Final = "Apple (iOS 18, macOS 15)"
EXIFTOOL: Final = "exiftool"
GAINMAP_JS: Final = "gainmap-js"
VIPS: Final = "libvips"
EVERYONE: Final = (CHROMIUM, ANDROID, OLD_ANDROID, APPLE, EXIFTOOL, GAINMAP_JS, VIPS)


class Severity(StrEnum):
    """ERROR: some reader loses HDR or shows it wrongly. WARNING: fragile, or a choice that leaves some out.

    NOTE: legal and harmless, worth knowing.
    """

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a file.

    `code` is stable; `readers` are those that lose HDR or show it wrongly; `offset` is a byte of the file;
    `mend` says what to change.
    """

    code: str
    severity: Severity
    readers: tuple[str, ...]
    offset: int | None
    message: str
    mend: str

    def to_json(self) -> dict[str, str | int | list[str] | None]:
        """Plain values by name, as every JSON of an audit shows them."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "readers": list(self.readers),
            "offset": self.offset,
            "message": self.message,
            "mend": self.mend,
        }


def error(code: str, readers: tuple[str, ...], offset: int | None, message: str, mend: str) -> Finding:
    """A finding by which some reader loses HDR."""
    return Finding(code, Severity.ERROR, readers, offset, message, mend)


def warning(code: str, readers: tuple[str, ...], offset: int | None, message: str, mend: str) -> Finding:
    """A finding that is fragile."""
    return Finding(code, Severity.WARNING, readers, offset, message, mend)


def note(code: str, offset: int | None, message: str, mend: str = "nothing needs to change") -> Finding:
    """A finding that is harmless."""
    return Finding(code, Severity.NOTE, (), offset, message, mend)
