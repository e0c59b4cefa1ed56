"""`regain compare`: did an upload strip or change the gain map?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.markup import escape

from shared.imaging.decode import decode_gain_map
from shared.imaging.gain_map import log2_gain
from shared.ultrahdr import AppleGainMap, GainMapMetadata, UltraHdrError, UltraHdrFile, parse
from worker.cli.console import FAILED, CliError, fail, out, print_json, read_input

STEP = 0.05  # stops: a mean difference below is what one more JPEG round costs


@dataclass(frozen=True, slots=True)
class Comparison:
    """What happened to the map between two files; `difference` in stops, mean over the smaller map."""

    verdict: str
    changed: tuple[str, ...]
    difference: float | None

    @property
    def kept(self) -> bool:
        """Whether the second file shows what the first did."""
        return self.verdict in {"identical", "recoded"}


def compare(
    before: Annotated[Path, typer.Argument(help="the file as it was")],
    after: Annotated[Path, typer.Argument(help="the file as it came back")],
    as_json: Annotated[bool, typer.Option("--json", help="print the comparison as JSON")] = False,
) -> None:
    """Say whether an upload stripped or changed the gain map; exit 1 if it did."""
    try:
        result = compare_files(parse(read_input(before)), parse(read_input(after)))
    except (CliError, UltraHdrError) as error:
        fail(str(error))
    if as_json:
        print_json(
            {
                "before": str(before),
                "after": str(after),
                "verdict": result.verdict,
                "kept": result.kept,
                "changed": list(result.changed),
                "difference_stops": result.difference,
            }
        )
    else:
        colour = "green" if result.kept else "bold red"
        out.print(f"[{colour}]{result.verdict}[/] {escape(str(after))}")
        for line in result.changed:
            out.print(f"  {escape(line)}")
    if not result.kept:
        raise typer.Exit(FAILED)


def compare_files(before: UltraHdrFile, after: UltraHdrFile) -> Comparison:
    """Compare two parsed files.

    Raises:
        CliError: the first file has no gain map to lose.
        UltraHdrError: a map is not decodable.
    """
    if not before.is_hdr:
        raise CliError("the first file has no gain map; give the file as it was before the upload")
    if not after.is_hdr:
        lost = "the map and its metadata" if after.gain_map is None else "the metadata (the map is still there)"
        return Comparison("stripped", (f"the second file lost {lost}",), None)
    changed = list(_metadata_changes(before.metadata, after.metadata))
    if before.gain_map == after.gain_map and not changed:
        same_base = before.primary == after.primary
        return Comparison("identical", () if same_base else ("the SDR base differs, the map does not",), 0.0)
    difference = _difference(before, after)
    changed.append(f"the maps differ by {difference:.3f} stops on average")
    return Comparison("changed" if difference > STEP else "recoded", tuple(changed), round(difference, 4))


def _metadata_changes(
    before: GainMapMetadata | AppleGainMap | None, after: GainMapMetadata | AppleGainMap | None
) -> list[str]:
    if before == after or before is None or after is None:
        return []
    old, new = before.to_json(), after.to_json()
    return [f"{key}: {old.get(key)} -> {new.get(key)}" for key in old | new if old.get(key) != new.get(key)]


def _difference(before: UltraHdrFile, after: UltraHdrFile) -> float:
    first, second = _stops(before), _stops(after)
    if first.size > second.size:
        first, second = second, first
    height, width = first.shape
    import cv2  # noqa: PLC0415  (a tenth of a second that no other command's start should pay)

    resized = cv2.resize(second, (width, height), interpolation=cv2.INTER_AREA)
    return float(np.abs(first - resized).mean())


def _stops(file: UltraHdrFile) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    if file.gain_map is None or file.metadata is None:
        raise CliError("no gain map to compare")
    stops = log2_gain(decode_gain_map(file.gain_map), file.metadata)
    return np.asarray(stops.mean(axis=2) if stops.ndim == 3 else stops, np.float32)
