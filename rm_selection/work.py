"""The heavy part of a cell: read the data, train, score and save. Imports torch; `cells` does not until it must."""

from __future__ import annotations

import gc
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from rm_selection.checkpoints import Checkpoint
from rm_selection.contamination import Overlap
from rm_selection.errors import ConfigError
from rm_selection.evaluation import Benchmark, evaluate, read_benchmarks
from rm_selection.evaluation_sets import sources
from rm_selection.hardware import device, device_name, precision_of
from rm_selection.learning import Search, learn
from rm_selection.model_card import model_card
from rm_selection.preference_lengths import common_subset, guard_lengths
from rm_selection.preferences import Read, after, hold_out, read_pairs, read_ratings, summed
from rm_selection.protocol import Protocol
from rm_selection.reward_model import RewardModel, load, save, sharing
from rm_selection.runs import sha256
from rm_selection.scoring import UNSHARED, parity_check, share_prompts, sharing_told, tokens, verify_reload
from rm_selection.studies import write_text
from rm_selection.tracking import Tracker
from rm_selection.train_settings import TrainConfig, protocol
from rm_selection.training_data import apart, merge_source, source
from rm_selection.trials import Data

gc.freeze()  # what is imported stays: each training collects garbage twice, 0.2 s to look at all of these for nothing

PARTS = {"train": "training", "validation": "validation", "pairs": "merge"}  # what errors and records call them
SHOWN = 12  # digits of a hash that one can compare by eye
CHECKED = 16  # conversations that the parity and the reload check score


class Work:
    """One cell at work: `learn`, then `score`, then `save`.

    mirror: hears every line of the training log. weights: commit or hash of the checkpoint.
    """

    def __init__(
        self, settings: TrainConfig, checkpoint: Checkpoint, folder: Path, mirror: Tracker, weights: str = ""
    ) -> None:
        self.settings, self.checkpoint, self.folder, self.mirror = settings, checkpoint, folder, mirror
        self.weights = weights
        self.device = device(settings.hardware)
        self.apart: str | None = UNSHARED  # why prompts are not shared
        self.model: RewardModel | None = None

    @cached_property
    def benchmarks(self) -> list[Benchmark]:
        """What the model will be scored on; read first, for training rows that hold it are refused."""
        return read_benchmarks(sources(self.settings.evaluation))

    def learn(self) -> dict[str, Any]:
        """Train at every rate; returns checkpoint, template, data, parity and training for the record."""
        settings = self.settings
        rows, shared = self._rows()  # before the weights, which take minutes to load
        fresh = self._fresh()
        examples = self._examples()
        parity = parity_check(fresh, examples)
        if settings.hardware.shared_prompts:
            fresh, self.apart = share_prompts(fresh, tokens(fresh, examples))
        rows = {name: self._fitting(read, fresh) for name, read in rows.items()}
        about = {"source": fresh.template.source, "sha256": fresh.template.sha256, "notes": list(fresh.template.notes)}
        del fresh
        told = {name: _told(read) for name, read in rows.items()}
        self.mirror.used(settings.dataset.name, "dataset", {"name": settings.dataset.name} | told["train"])
        hashes = {"weights": self.weights} | {f"{name} data": read.sha256 for name, read in rows.items()}
        inputs = {name: found[:SHOWN] for name, found in hashes.items()}
        data = Data(**{name: read.rows for name, read in rows.items()}, inputs=inputs)
        state = self.folder / "training"
        search = Search(settings.objective.rates, settings.objective.search, settings.until)
        resume = settings.training.resume
        model, training = learn(self._fresh, data, self._protocol(), search, state, self._log, resume)
        self.model = replace(model, max_length=min(model.max_length, settings.dataset.max_length))
        checkpoint = asdict(self.checkpoint) | {"name": self.checkpoint.name}
        return {
            "checkpoint": checkpoint,
            "template": about,
            "parity": parity,
            "shared_prompts": sharing_told(self.apart),
            "data": told | shared,
            "training": training,
        }

    def score(self) -> dict[str, Any]:
        """Score the trained model; returns scores and cost, and writes scores.parquet."""
        model = self._trained()
        found = evaluate(model, self.benchmarks, self.settings.hardware.tokens_per_batch, self.settings.seed)
        found.pairs.to_parquet(self.folder / "scores.parquet", index=False)
        for name, pairs in found.pairs.groupby("evaluation"):
            self.mirror.table(f"{name}_subsets", _subsets(found.scores[str(name)], len(pairs)))
        self.mirror.made(self.folder.name, "evaluation", {"run_id": self.folder.name, "scores": found.scores})
        cost = {
            "device": device_name(self.device),
            "scored_tokens": found.tokens,
            "scored_pad_tokens": found.pad_tokens,
        }
        return {"scores": found.scores, "cost": cost}

    def save(self, record: dict[str, Any]) -> None:
        """Save the model with its card; it is loaded back and scored again before the run counts as finished."""
        model, target = self._trained(), self.folder / "model"
        save(model, target)
        verify_reload(model, target, self._examples())
        write_text(target / "README.md", model_card(record))
        self.mirror.made(self.folder.name, "model", self._made(target))

    def _made(self, folder: Path) -> dict[str, Any]:
        """What tells this model from every other: its run, what it was trained from, and its weights' hashes."""
        weights = {path.name: sha256(path) for path in sorted(folder.glob("*.safetensors"))}
        source = {"base": self.checkpoint.name, "commit": self.checkpoint.revision}
        return {"run_id": self.folder.name} | source | {"sha256": weights}

    def _fresh(self) -> RewardModel:
        hardware, rows = self.settings.hardware, self.settings.dataset
        outputs = tuple(rows.attributes or ()) if self._rated else ("reward",)
        precision = precision_of(hardware, self.device)
        most = None if rows.common_subset else rows.max_length  # there bytes decide, the same for every tokenizer
        made = load(self.checkpoint, outputs, precision, self.device, max_length=most, seed=self.settings.seed)
        return sharing(made, shares=self.apart is None)

    @property
    def _rated(self) -> bool:
        return self.settings.objective.name == "regression"

    def _trained(self) -> RewardModel:
        if self.model is None:
            raise ConfigError("a model is scored after it is trained; call learn first")
        return self.model

    def _examples(self) -> list[Any]:
        rows = self.benchmarks[0].read.rows[:CHECKED]
        return [pair.conversations[0] for pair in rows]

    def _rows(self) -> tuple[dict[str, Read[Any]], dict[str, Any]]:
        """What is read to train, validate and, for ratings, merge; and the overlap with the evaluation."""
        dataset = self.settings.dataset
        train = self._read("train", dataset.train)
        if dataset.validation is not None:
            rows = {"train": train, "validation": self._read("validation", dataset.validation)}
        elif dataset.validation_share is not None:
            kept, held = hold_out(train.rows, dataset.validation_share)
            rows = {"train": summed(kept, train.counts, train.revision), "validation": summed(held, {})}
        else:
            raise ConfigError("dataset.validation and dataset.validation_share are both null; give one of them")
        if self._rated:
            rows["pairs"] = read_pairs(merge_source(dataset))
        evaluated = [pair for benchmark in self.benchmarks for pair in benchmark.read.rows]
        told: dict[str, Any] = {}
        for name, read in rows.items():
            rows[name], found = apart(read, evaluated, dataset, PARTS[name])
            told |= _overlap(found) if name == "train" else {PARTS[name]: found.share}
        return rows, {"overlap": told}

    def _read(self, part: str, where: str | None) -> Read[Any]:
        dataset = self.settings.dataset
        found = source(dataset, part, where)
        if not self._rated:
            return read_pairs(found, dataset.limit)
        if not dataset.attributes or dataset.low is None or dataset.high is None:
            raise ConfigError("ratings need dataset.attributes=[...], dataset.low=... and dataset.high=...")
        return read_ratings(found, dataset.attributes, dataset.low, dataset.high, dataset.limit)

    def _fitting(self, read: Read[Any], model: RewardModel) -> Read[Any]:
        """The rows that are short enough, for every base alike or for this one, and that its template can write."""
        dataset, found = self.settings.dataset, read
        if dataset.common_subset:
            found = after(found, common_subset(found.rows, dataset.max_length))
        return after(found, guard_lengths(found.rows, model.template, model.max_length))

    def _protocol(self) -> Protocol:
        settings, objective = self.settings, self.settings.objective
        return replace(
            protocol(settings.training, settings.hardware, settings.seed),
            epochs=objective.epochs,
            center_rewards_coefficient=objective.centering,
            use_margin=objective.margin,
        )

    def _log(self, line: dict[str, float]) -> None:
        """Mirror a line; rates are trained one after the other, so their curves share no axis but `step`."""
        named = {f"rate {line['rate']:g}/{name}": value for name, value in line.items() if name not in ("rate", "step")}
        self.mirror.log({"step": line["step"]} | named)


def _overlap(found: Overlap) -> dict[str, Any]:
    return {"share": found.share, "pairs": found.found, "training_rows": len(found.train_ids)}


def _told(read: Read[Any]) -> dict[str, Any]:
    told = {"rows": len(read.rows), "counts": read.counts, "sha256": read.sha256}
    return told if read.revision is None else told | {"revision": read.revision}


def _subsets(scores: dict[str, Any], n: int) -> pd.DataFrame:
    figures = scores.get("categories", {}) | scores.get("subsets", {})
    return pd.DataFrame({"subset": list(figures), "accuracy": list(figures.values()), "pairs": n})
