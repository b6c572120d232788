"""The fenced blocks of README.md and docs/: commands as a shell would split them, outputs, and snippets."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """page: its file. kind: the word after the fence, "" for commands."""

    page: Path
    kind: str
    text: str


@dataclass(frozen=True)
class Command:
    """text: as it stands, on one line. words: what the program gets."""

    page: str
    text: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def blocks() -> list[Block]:
    return [Block(page, kind, text) for page in PAGES for kind, text in _FENCE.findall(page.read_text())]


def commands() -> list[Command]:
    """Every command, in the order of the pages; of a block with `$ ` lines, which shows what is printed, these."""
    found = []
    for block in blocks():
        if block.kind:
            continue
        lines = block.text.replace("\\\n", "").splitlines()
        if any(line.startswith("$ ") for line in lines):
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        found += [(block.page.name, " ".join(line.split())) for line in lines if line.strip()]
    words = split(*[text for _, text in found])
    return [Command(page, text, own) for (page, text), own in zip(found, words, strict=True)]


def split(*lines: str) -> list[tuple[str, ...]]:
    """What a shell makes of each line, all in one start of it."""
    script = "\n".join(f"printf '%s\\0' {text}\nprintf '\\n\\0'" for text in lines)
    said = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout
    return [tuple(line.split("\0")[:-1]) for line in said.split("\n\0")[:-1]]
