"""The card beside a saved reward model: what it was made from, how, and how good it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

PLAIN = """```python
from transformers import AutoModelForSequenceClassification, AutoTokenizer

model = AutoModelForSequenceClassification.from_pretrained(FOLDER)
tokenizer = AutoTokenizer.from_pretrained(FOLDER)
```"""


def model_card(record: Mapping[str, Any]) -> str:
    """Markdown with the Hub's metadata block, from a run's record."""
    checkpoint, settings = record["checkpoint"], record["settings"]
    published = checkpoint["revision"] is not None  # a folder's path says nothing to others, and names its owner
    meta = ({"base_model": checkpoint["source"]} if published else {}) | {
        "datasets": [settings["dataset"].get("repo") or settings["dataset"]["name"]],
        "pipeline_tag": "text-classification",
        "library_name": "transformers",
        "tags": ["reward-model", "rm-selection", settings["objective"]["name"]],
    }
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in meta.items()), "---", ""]
    lines += [f"# {record['run_id']}", ""]
    source = f" ({checkpoint['source']})" if published else ""
    lines += [f"A reward model trained from {checkpoint['name']}{source} by rm-selection.", ""]
    if parent := checkpoint.get("made_from"):
        lines += [f"{checkpoint['name']} is no publisher's: rm-selection post-trained it from {parent}.", ""]
    lines += ["| benchmark | accuracy, 0-100, 90% interval | pairs | longer side wins |", "|---|---|---|---|"]
    lines += [_row(name, result) for name, result in record["scores"].items()]
    lines += ["", f"Objective {settings['objective']['name']}, learning rate {record['training']['rate']:g}, "]
    lines[-1] += f"seed {record['provenance']['seed']}, data {record['data']['train']['sha256'][:12]}."
    if weights := record["training"].get("merge_vector"):
        lines += ["", f"One reward of its outputs: {json.dumps(weights)}."]
    return "\n".join([*lines, "", PLAIN, ""])


def _row(name: str, result: Mapping[str, Any]) -> str:
    low, high = result["intervals"].get("score", (float("nan"), float("nan")))
    figure = f"{result['score']:.1f} [{low:.1f}, {high:.1f}]" if "score" in result else "incomplete"
    baseline = f"{result['length_baseline']:.1f}" if "length_baseline" in result else "unknown"
    return f"| {name} | {figure} | {result['n']} | {baseline} |"
