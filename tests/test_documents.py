"""Which documents are read, from files and from the Hub without the Hub, and what is refused."""

import gzip
import json
from collections import Counter

import pytest
from huggingface_hub.utils import httpx

from rm_selection.errors import DataError
from rm_selection.features import documents
from rm_selection.features.documents import files, on_hub, read
from rm_selection.preference_sources import Source


def lines(path, *rows):
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.name.endswith(".gz") else text)
    return path


def found(path, limit=100):
    dropped = Counter()
    return [(one.domain, one.text) for one in read(files(path), limit, dropped)], dropped


def test_a_folder_is_read_with_domains_of_its_lines_or_its_files(tmp_path):
    lines(tmp_path / "books.jsonl.gz", {"text": "a"}, {"text": "b", "domain": "poems"})
    lines(tmp_path / "arxiv.jsonl", {"text": "c", "domain": None})
    (tmp_path / "README.md").write_text("no data")
    assert found(tmp_path)[0] == [("arxiv", "c"), ("books", "a"), ("poems", "b")]


def test_a_limit_counts_usable_documents_of_each_domain(tmp_path):
    rows = [{"text": "", "domain": "a"}, *({"text": f"{i}", "domain": "ab"[i % 2]} for i in range(8))]
    assert found(lines(tmp_path / "x.jsonl", *rows), limit=2)[0] == [("a", "0"), ("b", "1"), ("a", "2"), ("b", "3")]


def test_blank_and_unwritable_texts_are_dropped_and_counted(tmp_path):
    path = lines(tmp_path / "x.jsonl", {"text": " \n"}, {"text": "half \ud800"}, {"text": "whole"})
    assert found(path) == ([("x", "whole")], Counter({("x", "blank"): 1, ("x", "not valid Unicode"): 1}))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"domain": "a"}, r"line 2 has no text; write \{text, domain\}"),
        ({"text": 7}, "line 2 has a text that is no string"),
        ({"text": "x", "domain": 7}, "line 2 has domain '7'; give a word"),
        ({"text": "x", "domain": " "}, "line 2 has domain ' '"),
        ({"text": "x", "domain": "a_per_byte"}, "a word that does not end in _per_byte"),
    ],
)
def test_a_row_that_is_no_document_is_refused_with_its_line(tmp_path, row, sentence):
    with pytest.raises(DataError, match=sentence):
        found(lines(tmp_path / "x.jsonl", {"text": "good"}, row))


def test_invalid_utf8_is_refused_with_its_line(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(b'{"text": "good"}\n{"text": "\xff\xfe"}\n')
    with pytest.raises(DataError, match=r"line 2 is not UTF-8 text .*; save the file as UTF-8"):
        found(tmp_path)


def test_nothing_to_read_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none does not exist; give feature\.path a file or folder of JSON lines"):
        files(tmp_path / "none")
    with pytest.raises(DataError, match=r"holds no \.jsonl or \.jsonl\.gz"):
        files(tmp_path)


SLIM = Source("hub", "cerebras/SlimPajama-627B", "train", "c0ffee")


def slim(name, number):
    return {"text": f"{name} {number}", "meta": {"redpajama_set_name": f"RedPajama{name}"}}


def streamed(monkeypatch, rows):
    """Rows the Hub would send; the list that is returned holds those that were asked for."""
    asked = []

    def raw_rows(source, stream):
        assert stream
        for number, row in enumerate(rows, 1):
            asked.append(row)
            yield f"{source.path_or_repo}, row {number}", row

    monkeypatch.setattr(documents, "raw_rows", raw_rows)
    return asked


def test_slimpajama_gives_its_five_parts_and_is_left_when_they_are_full(monkeypatch):
    names = ["CommonCrawl", "Github", "Book", "C4", "ArXiv", "Wikipedia", "StackExchange"]
    asked = streamed(monkeypatch, [slim(name, i) for i in range(50) for name in names])
    domains = Counter(one.domain for one in read(SLIM, 2, Counter()))
    assert domains == {"github": 2, "book": 2, "arxiv": 2, "wikipedia": 2, "stackexchange": 2}
    assert len(asked) < 20


def test_other_repositories_name_their_domains(monkeypatch):
    streamed(monkeypatch, [{"text": "a", "domain": "law"}, {"text": "b", "domain": "code"}])
    assert [(one.id, one.domain) for one in read(SLIM, 5, Counter())] == [("1", "law"), ("2", "code")]


def test_without_a_network_the_way_out_is_named(monkeypatch):
    def unreachable(self, repo, **kwargs):
        raise httpx.ConnectError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", unreachable)
    with pytest.raises(
        DataError, match=r"cannot be reached for a/b.*connect, or feature\.path=FOLDER reads files"
    ) as told:
        on_hub("a/b", "main", "train")
    assert told.value.kind == "no network"


def test_what_is_not_there_or_breaks_off_while_streaming_is_one_sentence(monkeypatch):
    def broken(source, stream):
        yield "row 1", slim("Book", 1)
        raise DataError("whatever", "missing repository")

    monkeypatch.setattr(documents, "raw_rows", broken)
    with pytest.raises(DataError, match=r"is not on the Hub at c0ffee; correct feature\.repo"):
        list(read(SLIM, 5, Counter()))
