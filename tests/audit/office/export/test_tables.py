"""Files for tables and lines: NDJSON, CSV, Parquet."""

import csv
import io
from datetime import UTC, datetime

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audit.entry import canonical
from audit.office.export import delimited, lines, parquet
from audit.office.export.columns import NAMES
from tests.audit.office.export.world import AT, INS, entry, erased, seen, written

EHDS = {
    "a": ("structure", "10B0152872"),
    "b": ("subject", "899700218896"),
    "c": ("document_type", "11502-2"),
    "d": ("at", AT),
    "e": ("origin_structure", "10B0152872"),
}


def rows(data):
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_lines_are_the_bytes_of_the_log():
    """Where nothing is withheld, a line is the exact entry."""
    given = entry()
    assert canonical(given) + b"\n" == written(lines.write, seen(given))


def test_line_of_an_erased_entry_says_so():
    """Of an erased entry the line tells its place, its instant and its commitment."""
    (line,) = written(lines.write, erased()).splitlines()
    assert {
        "at": AT,
        "commitment": "00" * 32,
        "erased": True,
        "index": 7,
        "log": "dmp.test/1",
    } == orjson.loads(line)


@pytest.mark.parametrize("letter", EHDS)
def test_csv_tells_what_the_ehds_asks_for(letter):
    """Organisation, person, category, instant and origin of the data stand in columns (EHDS annex II 3.2)."""
    name, value = EHDS[letter]
    (row,) = rows(written(delimited.write, seen()))
    assert value == row[name]


def test_csv_is_rfc_4180():
    """Lines end in CRLF; what has quotes, commas or line ends is quoted, and read back as it was."""
    text = 'coma, "deep"\r\nsince 3 o\'clock'
    data = written(delimited.write, seen(entry(reason={"code": "x", "text": text})))
    (row,) = rows(data)
    assert data.startswith(",".join(NAMES).encode() + b"\r\n")
    assert data.endswith(b"\r\n")
    assert text == row["given_reason"]
    assert "read_when_authorised" not in row["rules"]


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|' /C calc'!A0",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "\u00a0=1",
        '"=1',
        "\u3000=1",
        "\u200b=1",
        "\ufeff=1",
        "\uff1d1+1",
        "\uff20x",
    ],
)
def test_csv_holds_no_formula(text):
    """What a spreadsheet would calculate begins with an apostrophe."""
    given = entry(subject={"kind": "professional", "id": text, "name": text})
    (row,) = rows(written(delimited.write, seen(given)))
    assert f"'{text}" == row["subject"] == row["subject_name"]


def test_csv_of_many_comes_in_pieces():
    """However many there are, memory holds some rows at once, and the names of the columns stand once."""
    pieces = list(delimited.write(seen(entry(index=n)) for n in range(450)))
    assert 3 == len(pieces)
    assert list(map(str, range(450))) == [row["index"] for row in rows(b"".join(pieces))]


def test_csv_tells_of_erased_ones():
    """An erased entry is a row that says so, without anything else but its place."""
    (row,) = rows(written(delimited.write, erased()))
    assert ("yes", "7", "", "") == (row["erased"], row["index"], row["id"], row["patient"])


def test_parquet_has_types():
    """Instants are instants, lists are lists, what is missing is null; all is read back."""
    table = pq.read_table(
        io.BytesIO(written(parquet.write, seen(), seen(entry(1, about=None)), erased()))
    )
    assert NAMES == tuple(table.column_names)
    assert pa.timestamp("us", tz="UTC") == table.schema.field("at").type
    first, second, gone = table.to_pylist()
    assert datetime(2026, 11, 18, 10, 26, 40, 123456, tzinfo=UTC) == first["at"]
    assert (["by-consent"], INS, 7) == (first["rules"], first["patient"], first["revision"])
    assert ["899700218896"] == first["origin_authors"]
    assert second["about"] is None
    assert (True, None, []) == (gone["erased"], gone["patient"], gone["rules"])


def test_parquet_is_written_in_groups(monkeypatch):
    """Rows are written group by group, compressed by zstd; the file may as well be empty."""
    monkeypatch.setattr(parquet, "ROWS", 10)
    pieces = list(parquet.write(seen(entry(index=n)) for n in range(25)))
    file = pq.ParquetFile(io.BytesIO(b"".join(pieces)))
    assert (3, 25) == (file.num_row_groups, file.metadata.num_rows)
    assert "ZSTD" == file.metadata.row_group(0).column(0).compression
    assert 0 == pq.read_table(io.BytesIO(written(parquet.write))).num_rows
