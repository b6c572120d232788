"""MATH as the harness's own task grades it, under the ANTLR that Hydra needs."""

import json
from pathlib import Path

import pytest
from tiny_models import checkpoint

from rm_selection.features import Place, benchmarks
from rm_selection.features.harness import BudgetedLM
from rm_selection.measure_settings import BenchmarksConfig

# The harness's leaderboard_math_hard, with a file of ours for its data.
TASK = """\
task: maths
dataset_path: json
dataset_kwargs:
  data_files:
    test: maths.jsonl
test_split: test
process_docs: !function utils.process_docs
output_type: generate_until
doc_to_text: !function utils.doc_to_text
process_results: !function utils.process_results
doc_to_target: "{{answer if few_shot is undefined else solution}}"
generation_kwargs:
  until: ["Problem:"]
  max_gen_toks: 8
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
  - {metric: exact_match_original, aggregation: mean, higher_is_better: true}
num_fewshot: 4
fewshot_config:
  sampler: first_n
  samples: !function utils.list_fewshot_samples
metadata:
  version: 3.0
"""
SAID = [  # the true answer, what is said, whether that is right
    (r"\frac{1}{2}", r"Final Answer: The final answer is $\frac12$. I hope it is correct.", True),
    (r"\frac{1}{2}", "Final Answer: The final answer is $0.5$. I hope it is correct.", True),
    (r"[2,5)", r"so it is $\boxed{[2, 5)}$", True),
    (r"[2,5)", r"so it is $\boxed{(2, 5)}$", False),
    (r"2\sqrt{3}", r"\boxed{\sqrt{12}}", True),
    ("16", "I do not know", False),
]


@pytest.fixture
def tasks(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "maths.yaml").write_text(TASK)
    (folder / "utils.py").write_text("from lm_eval.tasks.leaderboard.math.utils import *\n")
    rows = [
        {"problem": f"What is number {i}?", "level": "Level 5", "solution": f"It is $\\boxed{{{answer}}}$."}
        for i, (answer, _, _) in enumerate(SAID)
    ]
    easy = {"problem": "1 + 1?", "level": "Level 1", "solution": r"$\boxed{2}$"}
    (folder / "maths.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, easy]))
    return folder


def test_answers_of_math_are_judged_by_what_they_are_worth(tasks, tmp_path, monkeypatch):
    prompts = []

    def say(_, requests, **__):
        prompts.extend(request.args[0] for request in requests)
        return [said for _, said, _ in SAID]

    monkeypatch.setattr(BudgetedLM, "generate_until", say)
    given = BenchmarksConfig("benchmarks", str(tasks), None, None, None, None)
    tiny = checkpoint(tmp_path / "model")
    found = benchmarks.measure(tiny, given, Place(tmp_path / "place", "cpu", "float32", 512, 0))
    assert found.values["maths"] == pytest.approx(100 * 4 / 6)
    assert found.protocols["maths"].startswith("lm_eval 0.4.13, maths v3, 4-shot, exact_match, prompts ")
    assert prompts[1].startswith("Problem:\nFind the domain of")
    assert prompts[1].endswith("Problem:\nWhat is number 1?\n\nSolution:")
    # sympy's own parser is not to be had here, and its 0 for "0.5" would be no figure of the harness
    assert found.details["benchmarks"]["maths"]["metrics"]["maths"] == {"exact_match,none": pytest.approx(4 / 6)}
