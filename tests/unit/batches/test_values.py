"""States, counts and views of batches; from a manifest's line to a row."""

from dataclasses import replace
from typing import Any

import pytest

from shared.backfill.rows import BadRow, Outcome, Row
from shared.batch_view import batch_view, row_view
from shared.batches import FINAL, OPEN_ROWS, TRANSITIONS, Batch, BatchStatus, RowState
from shared.errors import RestoreError
from shared.sources import BucketRef, Ref, UploadRef, UrlRef, name_of, parse_ref
from worker.batches.plan import plan, without_collisions

UPLOAD = "0" * 31 + "a"


def batch(**named: Any) -> Batch:
    values: dict[str, Any] = {
        "id": "1" * 32,
        "tenant": "one",
        "name": None,
        "status": BatchStatus.RUNNING,
        "version": 1,
        "created": 0.0,
        "updated": 0.0,
        "model": "naive",
        "options": {},
        "output": None,
        "metadata": None,
        "webhook": None,
        "retention": 1.0,
        "manifest_key": "incoming/x",
        "manifest_path": None,
        "form": "jsonl",
    }
    return Batch(**{**values, **named})


OUTPUT = {"prefix": "out/put", "template": "{dir}/{stem}_hdr.jpg", "overwrite": False}


def test_rows_end_in_the_words_of_outcomes() -> None:
    assert {state.value for state in set(RowState) - OPEN_ROWS} == {outcome.value for outcome in Outcome}
    assert {state.value for state in RowState} <= set(Batch.__dataclass_fields__)


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(BatchStatus)
    reached = set().union(*TRANSITIONS.values())
    assert reached == set(BatchStatus) - {BatchStatus.VALIDATING}
    assert all(TRANSITIONS[state] <= {BatchStatus.RUNNING} for state in FINAL)


def test_the_view_says_counts_eta_and_failures() -> None:
    seen = batch_view(batch(total=10, waiting=6, queued=2, failed=2, rate=4.0), {"a": 1, "b": 3})
    assert seen["counts"]["total"] == 10
    assert sum(seen["counts"][state.value] for state in RowState) == 10
    assert seen["eta"] == 2.0
    assert seen["failures"] == [{"code": "b", "count": 3}, {"code": "a", "count": 1}]
    assert batch_view(batch(status=BatchStatus.PAUSED, rate=4.0), {})["eta"] is None
    assert batch_view(batch(), {})["error"] is None


@pytest.mark.parametrize(
    ("text", "ref", "name"),
    [
        ("https://example.com/a/b%20c.jpg?x=1", UrlRef("https://example.com/a/b%20c.jpg?x=1"), "b%20c.jpg"),
        ("s3://bucket/a/b.jpg", BucketRef("bucket/a/b.jpg"), "b.jpg"),
        ("bucket/a/b.jpg", BucketRef("bucket/a/b.jpg"), "b.jpg"),
        (f"upload:{UPLOAD}", UploadRef(UPLOAD), None),
    ],
)
def test_sources(text: str, ref: Ref, name: str | None) -> None:
    assert (parse_ref(text), name_of(ref)) == (ref, name)


@pytest.mark.parametrize(
    "text", ["", "a.jpg", "ftp://x/y", "s3://B/x", "https://", "https://u:p@x/y", "upload:1", "bucket/", "s3://bucket"]
)
def test_sources_that_are_none(text: str) -> None:
    with pytest.raises(RestoreError) as refused:
        parse_ref(text)
    assert refused.value.code == "bad_source"


def test_a_listing_leaves_its_prefix_out_of_outputs() -> None:
    listed = batch(form=None, manifest_path="bucket/album/", output=OUTPUT)
    assert plan(listed, Row(1, "s3://bucket/album/day/1.jpg")).output == "out/put/day/1_hdr.jpg"
    named = batch(output=OUTPUT)
    assert plan(named, Row(1, "s3://bucket/album/day/1.jpg")).output == "out/put/album/day/1_hdr.jpg"
    assert plan(named, Row(1, "s3://bucket/1.jpg", output="mine.jpg")).output == "out/put/mine.jpg"


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (BadRow(3, "not_json", "line 3: no"), "not_json"),
        (Row(3, "x"), "bad_source"),
        (Row(3, "bucket/x.jpg", original="?"), "bad_source"),
        (Row(3, "bucket/x.jpg", output="../x.jpg"), "bad_output"),
        (Row(3, "out/put/x.jpg", output="x.jpg"), "would_overwrite_source"),
    ],
)
def test_lines_at_fault(row: Row | BadRow, code: str) -> None:
    made = plan(batch(output=OUTPUT), row)
    assert (made.state, made.error_code, made.runnable, made.line) == (RowState.FAILED, code, False, 3)
    assert "line 3" in row_view(made)["error"]["message"]


def test_outputs_are_given_away_once() -> None:
    made = [plan(batch(output=OUTPUT), Row(n, f"bucket/{n}.jpg", output=out)) for n, out in enumerate("aAb", 1)]
    kept = without_collisions(made, set())
    assert [row.error_code for row in kept] == [None, "output_collision", None]
    again = without_collisions([replace(kept[2], line=4)], {kept[2].output_digest or 0})
    assert again[0].error_code == "output_collision"
