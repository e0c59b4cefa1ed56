"""Ultra HDR JPEG, bytes to bytes: hdrgm, GContainer, MPF and ISO 21496-1, written from one value."""

from shared.ultrahdr.audit import Finding, Severity, audit
from shared.ultrahdr.container import assemble
from shared.ultrahdr.errors import UltraHdrError
from shared.ultrahdr.metadata import AppleGainMap, GainMapMetadata, MetadataSource
from shared.ultrahdr.reader import UltraHdrFile, parse

__all__ = [
    "AppleGainMap",
    "Finding",
    "GainMapMetadata",
    "MetadataSource",
    "Severity",
    "UltraHdrError",
    "UltraHdrFile",
    "assemble",
    "audit",
    "parse",
]
