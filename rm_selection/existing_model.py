"""Score a reward model somebody else trained, the same way and into the same record as ours."""

from __future__ import annotations

import re
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rm_selection import runs
from rm_selection.checkpoint_folder import fingerprint
from rm_selection.errors import ConfigError
from rm_selection.evaluation import evaluate, read_benchmarks
from rm_selection.evaluation_sets import sources
from rm_selection.hardware import device, precision_of
from rm_selection.outcomes import Outcome
from rm_selection.reward_model import RewardModel, reload
from rm_selection.rewardbench_official import scores_json
from rm_selection.scoring import UNSHARED, parity_check, share_prompts, sharing_told, tokens
from rm_selection.studies import write_text
from rm_selection.train_settings import EvaluateConfig


def score_existing(settings: EvaluateConfig) -> Outcome:
    """Score the model and record it; beside the record lies each benchmark's result in the official layout.

    Raises:
        ModelError: the model cannot be loaded; the subclasses say why.
        DataError: a benchmark cannot be read.
        ConfigError: it has several outputs and no merge vector, or CUDA is asked for and absent.
    """
    started = time.time()
    compared: dict[str, Any] = {"model": settings.model, "revision": settings.revision, "weights": settings.weights}
    compared |= {"evaluation": {name: asdict(one) for name, one in settings.evaluation.sets.items()}}
    compared |= {"precision": settings.hardware.precision}
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", settings.model).strip("-")
    run_id = runs.run_id(name, "as-it-is", "evaluation", settings.seed, compared)
    folder = settings.folder / "runs" / run_id
    local = Path(settings.model).is_dir()
    inputs = {"model": fingerprint(Path(settings.model)) if local else str(settings.revision)}
    if runs.finished(folder, compared, inputs):
        return Outcome(run_id, folder, "finished", new=False)
    benchmarks = read_benchmarks(sources(settings.evaluation))
    where = device(settings.hardware)
    model = _loaded(settings, where)
    examples = [pair.conversations[0] for pair in benchmarks[0].read.rows[:16]]
    parity = parity_check(model, examples)
    model, apart = (
        share_prompts(model, tokens(model, examples)) if settings.hardware.shared_prompts else (model, UNSHARED)
    )
    found = evaluate(model, benchmarks, settings.hardware.tokens_per_batch, settings.seed)
    folder.mkdir(parents=True, exist_ok=True)
    found.pairs.to_parquet(folder / "scores.parquet", index=False)
    for benchmark in benchmarks:
        pairs = found.pairs[found.pairs["evaluation"] == benchmark.name]
        if benchmark.rule != "jsonl":
            text = scores_json(benchmark.rule, pairs.drop(columns="evaluation"), settings.model, model.template.source)
            write_text(folder / f"{benchmark.name}.official.json", text)
    cost = {"seconds": round(time.time() - started, 3), "scored_tokens": found.tokens, "device": where}
    record: runs.Record = {
        "status": "finished",
        "run_id": run_id,
        "settings": compared,
        "inputs": inputs,
        "scores": found.scores,
    }
    record |= {"parity": parity, "shared_prompts": sharing_told(apart)}
    record |= {"cost": cost, "provenance": runs.provenance(settings.seed)}
    record |= {"template": {"source": model.template.source, "sha256": model.template.sha256}}
    runs.write_record(folder, record)
    return Outcome(run_id, folder, "finished")


def _loaded(settings: EvaluateConfig, where: str) -> RewardModel:
    precision = None if settings.hardware.precision == "auto" else precision_of(settings.hardware, where)
    model = reload(settings.model, settings.revision, precision, where)
    if settings.weights is not None:
        if len(settings.weights) != len(model.outputs):
            raise ConfigError(
                f"weights={settings.weights} are {len(settings.weights)}, and the model has {len(model.outputs)} "
                f"outputs: {', '.join(model.outputs)}"
            )
        return replace(model, weights=tuple(settings.weights))
    if len(model.outputs) > 1 and model.weights is None:
        raise ConfigError(f"the model has {len(model.outputs)} outputs; give weights=[...], one each")
    return model
