"""`regain audit`: what each reader will make of a file, and why."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from shared.ultrahdr import Severity, UltraHdrError
from shared.ultrahdr import audit as audit_bytes
from worker.cli.console import FAILED, CliError, err, out, print_json, read_input

_COLOURS = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def audit(
    files: Annotated[list[Path], typer.Argument(help="JPEG files")],
    as_json: Annotated[bool, typer.Option("--json", help="print the findings as JSON")] = False,
) -> None:
    """Say what is wrong with Ultra HDR files, for whom, and how to mend it."""
    reports = [_one(file) for file in files]
    if as_json:
        print_json(reports)
    else:
        for report in reports:
            _say(report)
    if not all(report["ok"] for report in reports):
        raise typer.Exit(FAILED)


def _one(file: Path) -> dict[str, Any]:
    try:
        findings = [finding.to_json() for finding in audit_bytes(read_input(file))]
    except (CliError, UltraHdrError) as error:
        code = error.code if isinstance(error, UltraHdrError) else "file"
        problem: dict[str, Any] = {
            "severity": Severity.ERROR.value,
            "readers": [],
            "offset": None,
            "mend": "give a readable JPEG",
        }
        findings = [{"code": code, "message": str(error), **problem}]
    return {"file": str(file), "ok": all(f["severity"] != Severity.ERROR for f in findings), "findings": findings}


def _say(report: dict[str, Any]) -> None:
    verdict = "[green]ok[/]" if report["ok"] else "[bold red]broken[/]"
    (out if report["ok"] else err).print(f"{verdict} {escape(report['file'])}")
    for finding in report["findings"]:
        colour = _COLOURS[Severity(finding["severity"])]
        where = "" if finding["offset"] is None else f" at byte {finding['offset']}"
        out.print(f"  [{colour}]{finding['severity']}[/] {finding['code']}{where}: {escape(finding['message'])}")
        if finding["readers"]:
            out.print(f"    readers: {escape(', '.join(finding['readers']))}")
        out.print(f"    mend: {escape(finding['mend'])}")
