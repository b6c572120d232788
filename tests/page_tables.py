"""Small tables shaped like those of a study: eight models of three families, four features. All numbers are made up."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd

FAMILIES = ["qwen", "qwen", "qwen", "gemma", "gemma", "llama", "llama", "newcomer"]
MODELS = [f"maker/{family}-{number}" for number, family in enumerate(FAMILIES)]
FEATURES = ["olv2_ifeval", "olv2_bbh", "log_params_b", "siqa"]
OBJECTIVES = ("regression", "bradley_terry")
VALIDATIONS = ("in_sample", "ten_fold", "leave_family_out")
PREDICTORS = ("balanced_ridge", "elastic_net", "size", "size_tokens", "best_benchmark")
CATEGORIES = ("chat", "chat_hard", "safety", "reasoning", "score")


def study(models: list[str] = MODELS) -> dict[str, pd.DataFrame]:
    """Every table of a study of eight models with the given names."""
    scores = np.linspace(88, 60, 8)
    objectives = pd.DataFrame({"model": models, "regression": scores, "bradley_terry": scores[::-1] - 10})
    objectives["difference"] = objectives["regression"] - objectives["bradley_terry"]
    return {
        "models": pd.DataFrame({"model": models, "family": FAMILIES, "params_b": np.linspace(9, 0.5, 8)}),
        "objectives": objectives,
        "scores": _scores(models, scores),
        "gains": _gains(models),
        "correlation": _correlation(),
        "distances": _distances(models),
        "coverage": _coverage(),
        "predictor": _predictor(),
        "predictions": _predictions(models, scores),
        "coefficients": _coefficients(),
        "factors": pd.DataFrame(
            {
                "component": [1, 2],
                "explained_variance": [0.9, 0.1],
                "cumulative": [0.9, 1.0],
                "olv2_bbh": [0.95, -0.3],
                "imputed_share": 0.25,
                "method": "principal components",
            }
        ),
        "stages": _stages(models),
        "recommendation": _recommendation(models),
        "features": pd.DataFrame(
            {"model": models, "presence.wiki_per_byte": np.linspace(-2, -1, 8), "presence.books_per_byte": np.nan}
        ),
        "claims": pd.DataFrame(
            {
                "claim": ["C1", "C6"],
                "statement": ["bases differ", "presence helps"],
                "claimed": ["3.1 to 14.3 points", "3.2 to 1.7"],
                "found": ["3.1 to 14.3 points", "nothing"],
                "reproduced": ["yes", "not testable"],
                "why": ["same figures", "scores were not published"],
            }
        ),
    }


def _scores(models: list[str], scores: np.ndarray) -> pd.DataFrame:
    both = [pd.DataFrame({"objective": name, "model": models, "score": scores}) for name in OBJECTIVES]
    return pd.concat(both, ignore_index=True).assign(low=lambda t: t["score"] - 2, high=lambda t: t["score"] + 2)


def _gains(models: list[str]) -> pd.DataFrame:
    gain = {"gain_points": 12.0, "gain_percent": 15.0, "low": 9.0, "high": 15.0, "gain_shrunk": 11.5}
    names = {"default_base": models[5], "default_score": 70.0, "best_base": models[0], "best_score": 82.0}
    return pd.DataFrame([{"objective": name, "size_group": "<3B"} | names | gain for name in OBJECTIVES])


def _correlation() -> pd.DataFrame:
    rows = []
    for objective in OBJECTIVES:
        for target in CATEGORIES:
            for place, feature in enumerate(FEATURES):
                value = 0.8 - 0.2 * place if feature != "siqa" or target == "score" else np.nan
                row = {"objective": objective, "target": target, "feature": feature, "n": 8 - place, "n_families": 3}
                for name in ("pearson", "spearman"):
                    row |= {name: value, f"{name}_low": value - 0.1, f"{name}_high": value + 0.1}
                rows.append(row | {"p_value": 0.0004, "p_adjusted": 0.02, "partial_spearman_given_size": np.nan})
    return pd.DataFrame(rows)


def _coverage() -> pd.DataFrame:
    rows = [
        {"objective": o, "predictor": p, "validation": v, "k": k, "coverage": 0.6, "low": 0.4, "high": 0.9, "n": 8}
        for o in OBJECTIVES
        for p in PREDICTORS
        for v in VALIDATIONS
        for k in (5, 6, 7, 8)
    ]
    return pd.DataFrame(rows)


def _predictor() -> pd.DataFrame:
    figures = {"n": 8, "mae": 3.3, "mae_low": 2.6, "mae_high": 3.9, "spearman": -0.25, "r2": np.nan}
    rows = [
        {"objective": o, "predictor": p, "feature_set": "sizes", "validation": v} | figures
        for o in OBJECTIVES
        for p in PREDICTORS
        for v in VALIDATIONS
    ]
    return pd.DataFrame(rows)


def _predictions(models: list[str], scores: np.ndarray) -> pd.DataFrame:
    frame = pd.DataFrame({"model": models, "family": FAMILIES, "actual": scores, "predicted": scores[::-1]})
    parts = [
        frame.assign(objective=o, feature_set="sizes", predictor=p, validation=v, low=50.0, high=95.0)
        for o in OBJECTIVES
        for p in PREDICTORS
        for v in VALIDATIONS
    ]
    return pd.concat(parts, ignore_index=True)


def _coefficients() -> pd.DataFrame:
    rows = [
        {"objective": o, "feature_set": "sizes", "term": term, "errors": errors, "estimate": 1.5, "std_error": 0.5}
        for o in OBJECTIVES
        for errors in ("hc3", "cluster")
        for term in ("const", *FEATURES)
    ]
    return pd.DataFrame(rows).assign(low=0.7, high=2.3, p_value=0.01, vif=3.0)


def _stages(models: list[str]) -> pd.DataFrame:
    rows = []
    for model, stage, change in ((models[5], "pretrained", 0.0), (models[6], "sft", 11.0)):
        for category in CATEGORIES:
            ends = {"low": change - 2 if change else np.nan, "high": change + 2 if change else np.nan}
            row = {"base": models[5], "stage": stage, "model": model, "category": category, "score": 73 + change}
            rows.append(row | {"change_points": change, "change_percent": 15.0, "p_value": np.nan} | ends)
    return pd.DataFrame(rows)


def _distances(models: list[str]) -> pd.DataFrame:
    pairs = list(combinations(models, 2))
    frame = pd.DataFrame(pairs, columns=["first", "second"])
    return frame.assign(domain="wiki", distance=np.linspace(0.05, 0.9, len(pairs)), by_chance=0.2, n=100)


def _recommendation(models: list[str]) -> pd.DataFrame:
    predicted = np.linspace(88, 60, 8)
    basis = ["measured"] * 6 + ["predicted", "predicted; olv2_musr imputed; params_b outside the fitted range"]
    return pd.DataFrame(
        {
            "rank": range(1, 9),
            "model": models,
            "family": FAMILIES,
            "params_b": np.linspace(9, 0.5, 8),
            "licence": ["apache-2.0"] * 7 + [None],
            "predicted": predicted,
            "low": predicted - 4,
            "high": predicted + 4,
            "probability_top_1": [0.5, 0.2, 0.1, 0.0, 0.0, 0.0, 0.05, 0.15],
            "probability_top_5": 0.5,
            "train_gpu_hours": 120.0,
            "basis": basis,
        }
    )


def under_budget(models: list[str] = MODELS) -> pd.DataFrame:
    """A ranking made under a budget: expected scores, and the measured ones of those trained to the end."""
    told = ["measured, 2 seeds", "measured", "trained to 75%", "probed", *["predicted"] * 4]
    measured = [89.25, 85.0, *[np.nan] * 6]
    return _recommendation(models).assign(basis=told, measured=measured, tied=[True, True, *[False] * 6])


def checkpoints(models: list[str] = MODELS, reason: str = "out of memory") -> dict[str, pd.DataFrame]:
    """What the records of such a study say of its first checkpoint: two seeds, one run that failed, two features."""
    model = models[0]
    score = {"model": model, "objective": "regression", "evaluation": "held_out"}
    parts = [("overall", 88.0), ("safety", 91.0), ("always the longer answer", 52.5)]
    run = {"model": model, "objective": "regression", "status": "finished", "rate": 5e-6, "run_id": "run"}
    how = {"how": "lm_eval 0.4.13, 0-shot", "device": "cpu", "run_id": "measured", "seconds": 3.0}
    line = {"model": model, "objective": "regression", "run_id": "run", "chosen": True, "rate": 5e-6, "what": "loss"}
    return {
        "checkpoint_facts": pd.DataFrame({"model": model, "fact": ["Commit", "Licence"], "value": ["0f1e2d", "mit"]}),
        "checkpoint_scores": pd.DataFrame(
            [
                score | {"part": part, "seed": seed, "score": value + seed, "low": value - 2, "high": value + 4}
                for seed in (1, 2)
                for part, value in parts
            ]
        ),
        "checkpoint_runs": pd.DataFrame([run | {"seed": 1}, run | {"seed": 2, "status": "failed", "reason": reason}]),
        "checkpoint_features": pd.DataFrame(
            [
                how | {"model": model, "feature": "benchmarks.sums", "value": 63.1, "low": 60.0, "high": 66.0},
                how | {"model": models[1], "feature": "benchmarks.sums", "value": 70.0},
            ]
        ),
        "curves": pd.DataFrame(
            [line | {"seed": seed, "step": step, "value": 1 / step} for seed in (1, 2) for step in (1, 2, 4)]
        ),
    }
