"""What a row of each shipped table, and of a file of candidates, may hold: models of pydantic, column by column.

Units: scores 0-100, sizes in billions of parameters, tokens in trillions.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, create_model

from rm_selection.schema import Row

OPEN_LLM_V2 = ("olv2_bbh", "olv2_gpqa", "olv2_ifeval", "olv2_math_lvl5", "olv2_mmlu_pro", "olv2_musr")
BENCHMARKS = (
    *OPEN_LLM_V2,
    *("olv1_arc", "olv1_gsm8k", "olv1_hellaswag", "olv1_mmlu", "olv1_truthfulqa_mc2", "olv1_winogrande"),
    *("agieval", "anli", "bbh", "boolq", "commonsenseqa", "crows_pairs", "drop", "gsm8k", "humaneval"),
    *("humaneval_plus", "ifeval_prompt_strict", "math", "mbpp", "mbpp_plus", "medqa", "mmlu", "mmlu_pro", "mt_bench"),
    *("nq", "openbookqa", "piqa", "qasper", "siqa", "toxigen", "triviaqa"),
)
TEN_POINT = ("mt_bench",)  # rated 0-10; everything else is 0-100

_ONE_LINE = r"^\P{Cc}+$"  # no control characters: a name is printed to terminals and into tables
_text: Any = Field(pattern=_ONE_LINE, description="a name, on one line")
_source: Any = Field(min_length=1, description="where the figures come from")
_score: Any = Field(ge=0, le=100, description="a score from 0 to 100")
_params: Any = Field(gt=0, le=10_000, description="a size above 0 and at most 10000, in billions of parameters")
_tokens: Any = Field(gt=0, le=1000, description="pre-training tokens above 0 and at most 1000, in trillions")
_licence: Any = Field(None, pattern=_ONE_LINE, description="a licence name such as apache-2.0")
_note: Any = Field(None, description="a remark")


class ModelRow(Row):
    """One of the study's models (paper, table 3)."""

    model: str = _text
    publisher: str = _text
    family: str = _text
    generation: str = _text
    params_b: float = _params
    pretraining_tokens_t: float = _tokens
    released: str = Field(pattern=r"^\d{4}-\d{2}$", description="a month as 2024-08")
    licence: str | None = _licence
    licence_source: str | None = _note
    source: str = _source


class _Scored(Row):
    """RewardBench accuracies of one reward model."""

    model: str = _text
    chat: float = _score
    chat_hard: float = _score
    safety: float = _score
    reasoning: float = _score
    score: float = _score
    source: str = _source


class ScoreRow(_Scored):
    """The reward model trained from a base with an objective (paper, tables 4 and 5)."""

    objective: str = Field(pattern="^(regression|bradley_terry)$", description="regression or bradley_terry")


class StageRow(_Scored):
    """The reward model trained from one post-training stage of a base (paper, table 1)."""

    base: str = _text
    stage: str = Field(pattern="^(pretrained|instruct|sft|dpo|rlvr)$", description="one of the five stages")


class BenchmarkRow(Row):
    """One public benchmark score of one model."""

    model: str = _text
    benchmark: str = Field(pattern=f"^({'|'.join(BENCHMARKS)})$", description=f"one of {', '.join(BENCHMARKS)}")
    score: float = _score
    shots: str | None = Field(None, description="few-shot examples in the prompt")
    harness: str = _text
    source: str = _source
    note: str | None = _note


class SmallWorldRow(Row):
    """One training of the small world, its score at each quarter of its steps, and what its base had before it."""

    study: str = _text
    model: str = _text
    family: str = _text
    params_b: float = _params
    tokens_t: float = _tokens
    seed: int = Field(ge=0, description="the seed of the training")
    arxiv: float = _score
    books: float = _score
    github: float = _score
    stack: float = _score
    wiki: float = _score
    benchmarks: float = Field(ge=0, le=100, description="the mean of the five")
    probe: float = _score
    at_25: float = _score
    at_50: float = _score
    at_75: float = _score
    score: float = _score


class _Candidate(Row):
    """A model that may be chosen: its size, and whatever benchmark scores are known."""

    model: str = _text
    params_b: float = _params
    family: str | None = Field(None, pattern=_ONE_LINE, description="a family name such as qwen")
    licence: str | None = _licence
    pretraining_tokens_t: float | None = Field(
        None, gt=0, le=1000, description="tokens above 0 and at most 1000, in trillions"
    )
    source: str | None = Field(None, description="where the figures come from")
    licence_source: str | None = Field(None, description="where the licence was read")
    note: str | None = _note


def _benchmark_field(name: str) -> tuple[Any, Any]:
    top = 10 if name in TEN_POINT else 100
    return (float | None, Field(None, ge=0, le=top, description=f"a score from 0 to {top}, or nothing"))


_scores: dict[str, Any] = {name: _benchmark_field(name) for name in BENCHMARKS}
CandidateRow = create_model("CandidateRow", __base__=_Candidate, **_scores)
