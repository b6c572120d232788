from pathlib import Path

import pandas as pd
import pytest
from pydantic import Field

from rm_selection.errors import TableError
from rm_selection.schema import Row, read_table
from rm_selection.table_rows import BENCHMARKS, CandidateRow

FIELDS = ", ".join(CandidateRow.model_fields)
SIZE = "a size above 0 and at most 10000, in billions of parameters"
LONG = "9x" * 5000


@pytest.fixture
def read(tmp_path):
    """Read `content` as a file of candidates."""

    def reading(content: bytes | str) -> pd.DataFrame:
        path = tmp_path / "c.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_table(path, CandidateRow, ("model",))

    return reading


def refusal(read, tmp_path: Path, content: bytes | str) -> str:
    """What is said of `content`, after the file's name."""
    with pytest.raises(TableError) as error:
        read(content)
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(str(tmp_path / "c.csv"))
    return text.removeprefix(str(tmp_path / "c.csv"))


CELLS = {
    "text in a number": ("params_b", "7B", SIZE),
    "a size in parameters": ("params_b", "7000000000", SIZE),
    "NaN": ("params_b", "NaN", SIZE),
    "N/A": ("params_b", "N/A", SIZE),
    "infinite": ("params_b", "inf", SIZE),
    "beyond floats": ("params_b", "1e400", SIZE),
    "negative": ("params_b", "-7", SIZE),
    "zero": ("params_b", "0", SIZE),
    "missing": ("params_b", "", SIZE),
    "decimal comma": ("params_b", '"1,5"', SIZE),
    "percent": ("mmlu", "61%", "a score from 0 to 100, or nothing"),
    "score above 100": ("mmlu", "101", "a score from 0 to 100, or nothing"),
    "score below 0": ("olv2_bbh", "-0.1", "a score from 0 to 100, or nothing"),
    "NaN score": ("mmlu", "nan", "a score from 0 to 100, or nothing"),
    "above ten points": ("mt_bench", "11", "a score from 0 to 10, or nothing"),
    "tokens not in trillions": ("pretraining_tokens_t", "15000", "tokens above 0 and at most 1000, in trillions"),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_bad_cell_is_named_by_line_column_value_and_what_is_allowed(read, tmp_path, name):
    column, cell, allowed = CELLS[name]
    columns = {"model": "b", "params_b": "8"} | {column: cell}
    content = f"{','.join(columns)}\na{',1' * (len(columns) - 1)}\n{','.join(columns.values())}\n"
    shown = cell.strip('"')
    assert (
        refusal(read, tmp_path, content) == f", line 3, column {column}: '{shown}' is not allowed; it holds {allowed}"
    )


FILES = {
    "no size": ("model\na\n", f", line 1, column params_b is missing; it holds {SIZE}"),
    "no model": ("params_b\n7\n", ", line 1, column model is missing; it holds a name, on one line"),
    "unknown benchmark": ("model,params_b,arc\na,1,2\n", f", line 1, column arc is unknown; allowed are {FIELDS}"),
    "misspelt": (
        "model,params_b,olv2_mmlupro\na,1,2\n",
        ", line 1, column olv2_mmlupro is unknown; did you mean olv2_mmlu_pro? ",
    ),
    "capitals": ("Model,Params_B\na,1\n", ", line 1, column Model is unknown; did you mean model? allowed are model"),
    "no column name": ("model,params_b,\na,1,\n", ", line 1, column (no name) is unknown; allowed are model"),
    "a column twice": ("model,params_b,mmlu,mmlu\na,1,2,3\n", ", line 1, column mmlu is there twice; keep one"),
    "header below blank lines": ("\n\nmodel\na\n", ", line 3, column params_b is missing"),
    "a duplicate": ("model,params_b\na,1\nb,2\n a ,3\n", ", line 4, column model: a is there already in line 2"),
    "too few cells": ("model,params_b,mmlu\na,1\n", ", line 2 has 2 cells where the header has 3"),
    "too many cells": ("model,params_b\n\na,1,2\n", ", line 3 has 3 cells where the header has 2"),
    "empty": ("", " is empty; a header line and at least one row are needed"),
    "blank lines only": (" \n\r\n", " is empty; a header line and at least one row are needed"),
    "commas only": (",,,\n", " is empty; a header line and at least one row are needed"),
    "header only": ("model,params_b\n\n", " has a header line but no row below it"),
    "an open quote": ('model,params_b\n"a,1\nb,2\n', ", line 3: not valid CSV (unexpected end of data)"),
    "a huge cell": (
        "model,params_b\n" + "n" * 140_000,
        ", line 2: not valid CSV (field larger than field limit (131072))",
    ),
    "semicolons": (
        "model;params_b\na;1\n",
        f", line 1, 'model;params_b', is no header of columns separated by commas; allowed are {FIELDS}",
    ),
    "tabs": ("model\tparams_b\na\t1\n", r", line 1, 'model\tparams_b', is no header of columns separated by commas"),
    "JSON": ('[{"model": "a"}]\n', """, line 1, '[{"model": "a"}]', is no header of columns"""),
    "Parquet": (b"PAR1\x15\x04", r", line 1, 'PAR1\x15\x04', is no header of columns separated by commas"),
    "binary": (bytes(range(256)), " cannot be read as CSV (it is not UTF-8 text); save it as a UTF-8 CSV file"),
    "Latin-1": ("model,params_b\né,1\n".encode("latin-1"), " cannot be read as CSV (it is not UTF-8 text)"),
    "UTF-16": ("model,params_b\na,1\n".encode("utf-16"), " cannot be read as CSV (it is not UTF-8 text)"),
}
FILES["zeros"] = (bytes(500), ", line 1, '" + r"\x00" * 20 + "...', is no header")


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_in_one_sentence(read, tmp_path, name):
    content, said = FILES[name]
    assert refusal(read, tmp_path, content).startswith(said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"model,params_b\na,{LONG}\n", f"column params_b: '{LONG[:80]}...' is not allowed"),
        (f"model,params_b\n{LONG},1\n{LONG},1\n", f"column model: {LONG[:80]}... is there already in line 2"),
        (f"model,params_b,{LONG}\na,1,1\n", f"column {LONG[:80]}... is unknown"),
        (f"model,params_b,{LONG},{LONG}\na,1,1,1\n", f"column {LONG[:80]}... is there twice"),
        (f"{LONG}\na\n", f"line 1, '{LONG[:80]}...', is no header"),
    ],
)
def test_a_long_text_is_shortened_in_the_message(read, tmp_path, content, said):
    assert said in refusal(read, tmp_path, content)


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\x00b", "a\nb", "a\x07b", "a\x85b"])
def test_control_characters_in_a_name_are_refused_and_not_sent_to_the_terminal(read, tmp_path, name):
    said = refusal(read, tmp_path, f'model,params_b\n"{name}",1\n')
    assert f"column model: '{ascii(name)[1:-1]}' is not allowed; it holds a name, on one line" in said
    assert said.isprintable()


@pytest.mark.parametrize("path", ["nope.csv", "nope/c.csv"])
def test_a_file_that_does_not_exist_is_named(tmp_path, path):
    with pytest.raises(TableError, match=f"{path} does not exist; name a CSV file with a header line"):
        read_table(tmp_path / path, CandidateRow, ("model",))


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(TableError, match=r"cannot be read as CSV \(Is a directory\); save it as a UTF-8 CSV file"):
        read_table(tmp_path, CandidateRow, ("model",))


PLAIN = "model,params_b,mmlu\na,1,2\nb,3,\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.removesuffix("\n"),
        b"\xef\xbb\xbf" + PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r"),
        "\n" + PLAIN.replace("\n", "\n\n,,\n"),
        PLAIN.replace(",", " ,\t"),
        '"model","params_b","mmlu"\n"a","1","2"\n"b","3",""\n',
    ],
    ids=["plain", "no last newline", "BOM and CRLF", "CR", "blank lines", "blanks", "quotes"],
)
def test_the_dialects_of_spreadsheets_are_read_alike(read, content):
    frame = read(content)
    assert list(frame.columns) == ["model", "params_b", "mmlu"]
    assert frame.fillna(-1).values.tolist() == [["a", 1, 2], ["b", 3, -1]]


def test_a_quoted_comma_belongs_to_the_cell(read):
    assert read('model,params_b\n"a, b",1\n')["model"].tolist() == ["a, b"]


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "[bold]x[/]", "=1+1", "模型", "a\u2028b", "n" * 5000])
def test_any_other_text_is_a_name(read, name):
    frame = read(f'model,params_b\n"{name}",1\nb,2\n')
    assert frame["model"].tolist() == [name, "b"]


def test_columns_come_in_the_order_of_the_schema(read):
    assert list(read("mmlu,params_b,model\n1,2,a\n").columns) == ["model", "params_b", "mmlu"]


def test_every_benchmark_may_be_a_column(read):
    frame = read(f"model,params_b,{','.join(BENCHMARKS)}\na,1{',10' * len(BENCHMARKS)}\n")
    assert (frame[list(BENCHMARKS)] == 10).all(axis=None)


class Pair(Row):
    """Two texts that name a row together."""

    left: str = Field(description="a text")
    right: str = Field(description="a text")


def test_a_key_may_be_two_columns(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("left,right\na,b\na,c\na,b\n", encoding="utf-8")
    with pytest.raises(TableError, match="line 4, column left and right: a, b is there already in line 2"):
        read_table(path, Pair, ("left", "right"))
