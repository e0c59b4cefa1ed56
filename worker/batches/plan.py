"""From a line of a manifest to a batch's row: what can be judged without looking at the photo."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from shared.backfill.outputs import digest_of, output_of
from shared.backfill.rows import BackfillError, BadRow, Row
from shared.batches import Batch, BatchRow, RowState
from shared.errors import RestoreError
from shared.sources import parse_ref


class _RowError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def plan(batch: Batch, row: Row | BadRow) -> BatchRow:
    """A row that waits, or one that failed because its line is at fault."""
    if isinstance(row, BadRow):
        return _faulty(BatchRow(batch=batch.id, line=row.line, state=RowState.FAILED, source=""), row.code, row.message)
    made = BatchRow(
        batch=batch.id,
        line=row.line,
        state=RowState.WAITING,
        source=row.source,
        original=row.original,
        options=row.options,
        metadata=row.metadata,
    )
    try:
        for text in (row.source, row.original):
            if text is not None:
                parse_ref(text)
        output = _output(batch, row)
    except (RestoreError, BackfillError, _RowError) as error:
        return _faulty(made, error.code, f"line {row.line}: {error}")
    if output is None:
        return made
    return replace(made, output=output, output_digest=digest_of(output))


def without_collisions(rows: Sequence[BatchRow], taken: Collection[int]) -> list[BatchRow]:
    """The same rows; those whose output an earlier row has already fail."""
    seen, kept = set(taken), []
    for row in rows:
        if row.output_digest is not None and row.output_digest in seen:
            message = f"line {row.line}: an earlier row has the output {row.output} already; give it another"
            kept.append(_faulty(replace(row, output_digest=None), "output_collision", message))
            continue
        if row.output_digest is not None:
            seen.add(row.output_digest)
        kept.append(row)
    return kept


def _output(batch: Batch, row: Row) -> str | None:
    wanted = batch.output
    if wanted is None:
        if row.output is not None:
            raise _RowError("bad_output", "the row names an output, the batch none: give the batch `output.prefix`")
        return None
    below = "" if batch.form is not None else (batch.manifest_path or "").partition("/")[2]
    output = f"{wanted['prefix']}/{output_of(row, wanted['template'], below)}"
    if output == row.source.removeprefix("s3://") and not wanted["overwrite"]:
        raise _RowError("would_overwrite_source", f"{row.source}: its output would be written over it; choose another")
    return output


def _faulty(row: BatchRow, code: str, message: str) -> BatchRow:
    return replace(row, state=RowState.FAILED, runnable=False, error_code=code, error_message=message)
