"""What is looked for in files of results made elsewhere, and what was found in those of one kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from rm_selection.features.scores import Score


@dataclass(frozen=True)
class Wanted:
    """The base that is looked for: any of its names, whatever stands for the slash in them."""

    names: tuple[str, ...]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _plain(name) in {_plain(own) for own in self.names}


@dataclass
class Found:
    """What files of one kind hold: figures of the base, the models there are, and what to remark."""

    scores: dict[str, Score] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)


def _plain(name: str) -> str:
    for slash in ("__", "--"):
        name = name.replace(slash, "/")
    return name.strip().strip("/").casefold()
