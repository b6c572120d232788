"""Documents of known domains: JSON lines {"text", "domain"}, or the parts of SlimPajama from the Hub.

    for document in read(source, limit, dropped): ...

Texts are read one after another and never all held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rm_selection.errors import DataError
from rm_selection.preference_sources import Source, json_lines, pinned, raw_rows

# As a row's meta.redpajama_set_name has them; CommonCrawl and C4, the rest of it, are no domain.
SLIMPAJAMA = {
    "RedPajamaGithub": "github",
    "RedPajamaBook": "book",
    "RedPajamaArXiv": "arxiv",
    "RedPajamaWikipedia": "wikipedia",
    "RedPajamaStackExchange": "stackexchange",
}
SUFFIXES = (".jsonl", ".jsonl.gz")
PER_BYTE = "_per_byte"  # ends the name of a domain's second column
_INSTEAD = "feature.path=FOLDER reads files of JSON lines instead"

Dropped = Counter[tuple[str, str]]  # (domain, why) -> documents


@dataclass(frozen=True)
class Document:
    """A text of a domain, and the place it was read from as its id."""

    id: str
    domain: str
    text: str


def files(path: Path) -> list[Path]:
    """The file, or those of the folder that hold JSON lines, sorted.

    Raises:
        DataError: there is none.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; give feature.path a file or folder of JSON lines {{text, domain}}")
    if path.is_file():
        return [path]
    found = sorted(one for one in path.rglob("*") if one.is_file() and one.name.endswith(SUFFIXES))
    if not found:
        raise DataError(f"{path} holds no .jsonl or .jsonl.gz; give feature.path a file or folder of JSON lines")
    return found


def on_hub(repo: str, revision: str, split: str) -> Source:
    """The dataset with the commit that its revision means now.

    Raises:
        DataError: no such repository or revision, it is gated, or the Hub gives no answer within ten seconds.
    """
    try:
        return pinned(Source("hub", repo, split, revision))
    except DataError as error:
        raise _refusal(repo, revision, error) from error


def read(source: Source | list[Path], limit: int, dropped: Dropped) -> Iterator[Document]:
    """The first `limit` usable documents of every domain, in the order of the source.

    Args:
        source: see `on_hub` and `files`.
        limit: documents a domain.
        dropped: counts what is left out here: blank texts, and such as no encoding can write.

    Raises:
        DataError: a row has no text or no domain, or cannot be read; its place is named.
    """
    taken: Counter[str] = Counter()
    rows = _local(source) if isinstance(source, list) else _remote(source)
    for where, domain, text in rows:
        if taken[domain] >= limit:
            if not isinstance(source, list) and all(taken[name] >= limit for name in SLIMPAJAMA.values()):
                return  # else the rest of a terabyte would be read for nothing
            continue
        if reason := _unusable(text):
            dropped[domain, reason] += 1
            continue
        taken[domain] += 1
        yield Document(where, domain, text)


def _unusable(text: str) -> str | None:
    if not text.strip():
        return "blank"
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write and UTF-8 cannot
        return "not valid Unicode"
    return None


def _local(paths: list[Path]) -> Iterator[tuple[str, str, str]]:
    for path in paths:
        stem = path.name.split(".")[0]
        for number, (where, row) in enumerate(json_lines(path), 1):
            domain = row.get("domain")
            yield f"{path.name}:{number}", _domain(stem if domain is None else domain, where), _text(row, where)


def _remote(source: Source) -> Iterator[tuple[str, str, str]]:
    rows = raw_rows(source, stream=True)
    while True:
        try:
            where, row = next(rows)
        except StopIteration:
            return
        except DataError as error:
            raise _refusal(source.path_or_repo, source.revision, error) from error
        meta = row.get("meta")
        part = meta.get("redpajama_set_name") if isinstance(meta, dict) else None
        domain = SLIMPAJAMA.get(part) if part is not None else row.get("domain", "")
        if domain is not None:
            yield where.rsplit(" ", 1)[-1], _domain(domain, where), _text(row, where)


def _text(row: dict[str, Any], where: str) -> str:
    text = row.get("text")
    if not isinstance(text, str):
        raise DataError(
            f"{where} has {'no text' if text is None else 'a text that is no string'}; write {{text, domain}}"
        )
    return text


def _domain(domain: object, where: str) -> str:
    if not isinstance(domain, str) or not domain.strip() or domain.endswith(PER_BYTE) or not domain.isprintable():
        way = f"give a word that does not end in {PER_BYTE}, or leave it out where the file bears its name"
        raise DataError(f"{where} has domain {str(domain)[:40]!r}; {way}")
    return domain.strip()


def _refusal(repo: str, revision: str | None, error: DataError) -> DataError:
    """What the Hub said, in one sentence, with the way out of a measurement rather than of a training."""
    page = f"https://huggingface.co/datasets/{repo}"
    said = {
        "no network": f"the Hub cannot be reached for {repo}, nor is it in the cache; connect",
        "gated": f"{repo} is gated; accept its terms at {page} and log in (hf auth login)",
        "missing repository": f"{repo} is not on the Hub at {revision}; correct feature.repo or feature.revision",
    }
    reason = " ".join(str(error.__cause__ or error).split())[:200]
    sentence = said.get(error.kind, f"{repo} cannot be read ({reason}); correct feature.repo or feature.split")
    return DataError(f"{sentence}, or {_INSTEAD}", error.kind)
