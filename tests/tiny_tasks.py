"""Small benchmarks as folders of lm-eval task files."""

import json
from pathlib import Path

CHOICE = """\
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {name}.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: choices
doc_to_target: answer
target_delimiter: " "
metric_list:
  - metric: acc
metadata:
  version: 1.0
"""
GENERATED = """\
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {name}.jsonl
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{choices[answer]}}}}"
generation_kwargs:
  until: ["\\n"]
  max_gen_toks: 4
metric_list:
  - metric: exact_match
metadata:
  version: 1.0
"""


def items(name: str, count: int) -> list[dict]:
    """Questions of different lengths with three choices of different lengths."""
    choices = ["a lot", "little", "nothing at all"]
    return [
        {"question": f"{name} {i} {'and more ' * (i % 4)}makes", "choices": choices, "answer": i * 7 % 3}
        for i in range(count)
    ]


def task(folder: Path, name: str, count: int = 8, text: str = CHOICE) -> list[dict]:
    """A task of `count` questions in the folder; the questions."""
    folder.mkdir(parents=True, exist_ok=True)
    made = items(name, count)
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in made), encoding="utf-8")
    (folder / f"{name}.yaml").write_text(text.format(name=name), encoding="utf-8")
    return made
