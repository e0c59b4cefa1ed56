"""Say of any file which readers will show it in HDR, which will not, and why."""

from collections.abc import Callable, Iterator
from typing import Final

from shared.ultrahdr.auditor.findings import EVERYONE, Finding, Severity, error, note
from shared.ultrahdr.auditor.images import SWAPPED, images
from shared.ultrahdr.auditor.metadata import metadata
from shared.ultrahdr.auditor.places import places
from shared.ultrahdr.reader import Facts, gather

_RULES: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (places, images, metadata)
_ORDER: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE)


def audit(data: bytes) -> list[Finding]:
    """Every finding on a file, the gravest first; empty where nothing is to be said.

    Raises:
        UltraHdrError: the data are no JPEG.
    """
    facts = gather(data)
    if facts.primary.jpeg.end is None:
        return [
            error(
                "truncated_primary",
                EVERYONE,
                len(data),
                "the primary image is cut off before its end marker",
                "get the whole file; nothing can be said of a part",
            )
        ]
    if facts.map is None and not _claims(facts):
        return [note("no_gain_map", None, "a flat SDR photo: there is no gain map, and nothing is broken")]
    findings = [finding for rule in _RULES for finding in rule(facts)]
    if any(finding.code == SWAPPED for finding in findings):  # all else only follows from it
        return [finding for finding in findings if finding.code == SWAPPED]
    return sorted(findings, key=lambda finding: _ORDER.index(finding.severity))


def _claims(facts: Facts) -> bool:
    """Whether anything in the primary says that there should be a map."""
    primary = facts.primary
    return primary.iso is not None or bool(primary.packet.hdrgm) or primary.packet.has_directory


__all__ = ["Finding", "Severity", "audit"]
