"""Manifests, listings, outputs, counts and reports."""

import csv
import io
import json
from pathlib import Path

import pytest

from shared.backfill.listing import is_wanted, list_folder
from shared.backfill.manifest import LINE_BYTES, Form, form_of, read_manifest
from shared.backfill.outputs import TEMPLATE, Collisions, check_template, output_of
from shared.backfill.report import COLUMNS, write_reports
from shared.backfill.rows import BackfillError, BadRow, Outcome, Row, RowReport, failed
from shared.backfill.tally import Tally


def read(text: str | bytes, form: Form = Form.JSONL, after: int = 0) -> list[Row | BadRow]:
    data = text.encode() if isinstance(text, str) else text
    return list(read_manifest(io.BytesIO(data), form, after))


BAD_LINES = [
    ("{", "not_json"),
    ("[1]", "not_an_object"),
    ("{}", "bad_source"),
    ('{"source": ""}', "bad_source"),
    ('{"source": 7}', "bad_source"),
    ('{"source": "a\\u0000"}', "bad_source"),
    ('{"source": "a", "colour": 1}', "unknown_field"),
    ('{"source": "a", "options": []}', "not_an_object"),
    ('{"source": "a", "options": {"strength": 9}}', "bad_strength"),
    ('{"source": "a", "options": {"strength": "x"}}', "bad_option"),
    ('{"source": "a", "options": {"loud": 1}}', "bad_option"),
    ("[" * 30000, "not_json"),
    ('{"source": "' + "a" * LINE_BYTES + '"}', "line_too_long"),
]


@pytest.mark.parametrize(("line", "code"), BAD_LINES)
def test_a_bad_line_is_named_and_stops_nothing(line: str, code: str) -> None:
    before, bad, behind = read(f'{{"source": "a"}}\n{line}\n{{"source": "c", "metadata": {{"k": 1}}}}\n')
    assert isinstance(before, Row)
    assert isinstance(bad, BadRow)
    assert isinstance(behind, Row)
    assert (before.line, bad.line, behind.line) == (1, 2, 3)
    assert bad.code == code
    assert "line 2" in bad.message
    assert behind.metadata == {"k": 1}


def test_csv_rows_have_typed_options_and_lines_stay_apart() -> None:
    rows = read(
        "\ufeffsource,output,strength,replace,metadata\r\n"
        'a.jpg,,0.5,true,"{""k"": 1}"\r\n'
        '"b.jpg\r\n'
        "c.jpg,c,,,\r\n"
        "\r\n"
        "d.jpg,1\r\n"
        "e.jpg,,x,,\r\n",
        Form.CSV,
    )
    first, open_quote, third, short, number = rows
    assert first == Row(2, "a.jpg", None, None, {"strength": 0.5, "replace": True}, {"k": 1})
    assert isinstance(open_quote, BadRow)
    assert open_quote.code == "not_csv"
    assert third == Row(4, "c.jpg", output="c")
    assert [(row.line, row.code) for row in (short, number) if isinstance(row, BadRow)] == [
        (6, "wrong_columns"),
        (7, "bad_option"),
    ]


def test_a_csv_says_what_to_do_with_a_wrong_original() -> None:
    good, bad = read("source,on_wrong_original\na.jpg,unguided\nb.jpg,perhaps\n", Form.CSV)
    assert good == Row(2, "a.jpg", options={"on_wrong_original": "unguided"})
    assert isinstance(bad, BadRow)
    assert bad.code == "bad_option"


@pytest.mark.parametrize("header", ["", "photo,output", "source,source", "source,colour", '"source'])
def test_a_csv_without_a_header_is_refused(header: str) -> None:
    with pytest.raises(BackfillError, match="line 1"):
        read(header + "\na.jpg\n", Form.CSV)


def test_reading_goes_on_behind_any_line() -> None:
    text = "".join(f'{{"source": "{number}"}}\n' for number in range(1, 1001))
    whole = read(text)
    for after in (0, 1, 500, 999, 1000):
        assert read(text, after=after) == whole[after:]
    assert read(text.rstrip("\n")) == whole
    assert [row.line for row in read("source\na\nb\n", Form.CSV, after=2)] == [3]


def test_long_lines_are_never_held_whole() -> None:
    class Endless(io.RawIOBase):
        left = 200

        def read(self, _size: int = -1) -> bytes:
            self.left -= 1
            return b"x" * (1 << 18) if self.left > 0 else b""

    (bad,) = read_manifest(Endless(), Form.JSONL)  # type: ignore[arg-type]
    assert isinstance(bad, BadRow)
    assert bad.code == "line_too_long"


def test_forms_by_name() -> None:
    assert (form_of("a.JSONL"), form_of("s3://b/x.csv")) == (Form.JSONL, Form.CSV)
    with pytest.raises(BackfillError, match="rename"):
        form_of("a.txt")


OUTPUTS = [
    (Row(1, "2024/a b.JPG"), "2024/a b_hdr.jpg"),
    (Row(1, "a.jpg"), "a_hdr.jpg"),
    (Row(1, "s3://bucket/lib/x/a.jpg"), "x/a_hdr.jpg"),
    (Row(1, "https://h/p/a.png?size=1"), "p/a_hdr.jpg"),
    (Row(1, "upload:0123"), "0123_hdr.jpg"),
    (Row(1, "/abs/../a.jpg"), "abs/a_hdr.jpg"),
    (Row(1, "a.jpg", output="b/c.jpg"), "b/c.jpg"),
]


@pytest.mark.parametrize(("row", "output"), OUTPUTS)
def test_outputs_by_template(row: Row, output: str) -> None:
    assert output_of(row, TEMPLATE, below="lib/") == output


@pytest.mark.parametrize("output", ["../a.jpg", "/etc/x", "a//b", "a/./b", "..\\a"])
def test_no_output_leaves_its_folder(output: str) -> None:
    with pytest.raises(BackfillError, match="below the output folder"):
        output_of(Row(1, "a.jpg", output=output), TEMPLATE)


@pytest.mark.parametrize("template", ["{dir}", "{stem", "{stem!r}", "{stem:9}", "{stem.x}", "{other}/{stem}", "plain"])
def test_templates_that_make_no_name_are_refused(template: str) -> None:
    with pytest.raises(BackfillError, match="template"):
        check_template(template)


def test_collisions_are_seen_whatever_the_case() -> None:
    taken = Collisions()
    assert [taken.is_taken(name) for name in ("a.jpg", "b.jpg", "A.JPG")] == [False, False, True]


def test_a_folder_is_listed_in_order_without_its_output(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.HEIC", "notes.txt", ".hidden.jpg", "sub/c.png", "out/a_hdr.jpg", ".git/x.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    rows = list(list_folder(tmp_path, (), (), tmp_path / "out"))
    assert rows == [Row(1, "a.HEIC"), Row(2, "b.jpg"), Row(3, "sub/c.png")]
    with pytest.raises(BackfillError, match="no such folder"):
        list_folder(tmp_path / "none", (), (), None)


def test_globs() -> None:
    assert is_wanted("2024/a.jpg", ["2024/*"], [])
    assert is_wanted("2024/a.jpg", ["a.*"], [])
    assert not is_wanted("2024/a.jpg", ["2023/*"], [])
    assert not is_wanted("2024/a_hdr.jpg", [], ["*_hdr.jpg"])


def test_rate_and_eta_come_from_work_alone() -> None:
    tally = Tally(total=110)
    tally.begin(0.0)
    assert tally.eta(0.0) is None
    for _ in range(50):
        tally.add(Outcome.SKIPPED_DONE)
    for second in range(1, 11):
        tally.add(Outcome.RESTORED, float(second))
    assert tally.rate(10.0) == pytest.approx(1.0)
    assert tally.eta(10.0) == pytest.approx(50.0)
    assert (tally.done, tally.skipped, tally.failed) == (60, 50, 0)


def test_reports_say_the_same_twice() -> None:
    reports = [
        RowReport(line=1, source="=cmd().jpg", outcome=Outcome.RESTORED, output="a", seconds=1.5, metadata={"k": 1}),
        failed(BadRow(2, "not_json", "line 2: not JSON"), "not_json", "line 2: not JSON"),
    ]
    lines, table = io.BytesIO(), io.BytesIO()
    assert write_reports(reports, lines, table) == 2
    said = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert said[0]["metadata"] == {"k": 1}
    cells = list(csv.DictReader(io.StringIO(table.getvalue().decode())))
    assert tuple(cells[0]) == COLUMNS
    assert cells[0]["source"] == "'=cmd().jpg"
    assert [row["outcome"] for row in cells] == [row["outcome"] for row in said] == ["restored", "failed"]
