"""lm-evaluation-harness on a base that is loaded already: one model for all tasks, batches by a budget of tokens.

harness = Harness(load(checkpoint), tokens_per_batch=16384, precision="float32")
harness.run(("hellaswag",), shots=10)    # the harness's results, as the JSON it would write
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lm_eval import evaluator
from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.utils import handle_non_serializable

from rm_selection.features.language_model import LanguageModel

LOGITS = 2**29  # numbers of a batch's logits at most: 2 GiB in float32, held twice while probabilities are taken


class BudgetedLM(HFLM):  # type: ignore[misc]  # lm_eval has no types
    """The harness's own model class, with batches of at most so many padded tokens and a count of real ones."""

    def __init__(self, language: LanguageModel, tokens_per_batch: int, precision: str) -> None:
        logits = LOGITS // max(1, language.model.config.get_text_config().vocab_size)
        self._budget = max(1, min(tokens_per_batch, logits))
        self.tokens = 0
        super().__init__(
            pretrained=language.model,
            tokenizer=language.tokenizer,
            batch_size="auto",
            max_length=language.max_length,
            mixed_precision_dtype="bfloat16" if precision == "bf16" else None,
            softmax_dtype="float32",
        )

    def _batch_scheduler(self, pos: int, n_reordered_requests: Sequence[Any]) -> int:
        """How many requests go together from `pos` on; they are sorted, the longest first."""
        _, context, continuation = n_reordered_requests[pos]
        return self._batch_of(len(context) + len(continuation))

    def _batch_of(self, length: int) -> int:
        return int(max(1, self._budget // max(1, length)))

    def _loglikelihood_tokens(self, requests: list[Any], **_: Any) -> Any:
        read = {tuple(context + continuation[:-1]) for _, context, continuation in requests}
        self.tokens += sum(min(len(tokens), self.max_length) for tokens in read)
        return super()._loglikelihood_tokens(requests, disable_tqdm=True)

    def generate_until(self, requests: list[Any], **_: Any) -> Any:
        """Generate, in batches of as many as fit with the longest prompt and answer."""
        prompts = [self.tok_encode(request.args[0]) for request in requests]
        answers = [request.args[1].get("max_gen_toks") or self.max_gen_toks for request in requests]
        longest = max(map(len, prompts)) + max(answers)
        self.batch_size_per_gpu = self._batch_of(min(longest, self.max_length))
        try:
            return super().generate_until(requests, disable_tqdm=True)
        finally:
            self.batch_size_per_gpu = "auto"  # type: ignore[assignment]  # as its __init__ sets it

    def _model_generate(self, context: torch.Tensor, max_length: int, stop: list[str], **kwargs: Any) -> Any:
        made = super()._model_generate(context, max_length, stop, **kwargs)
        self.tokens += int(kwargs["attention_mask"].sum()) + made[:, context.shape[1] :].numel()
        return made


class Harness:
    """The harness's tasks, or those of a folder, run on one base.

    folder: of task files; None: the tasks that come with the harness.
    """

    def __init__(
        self, language: LanguageModel, tokens_per_batch: int, precision: str, folder: Path | None = None
    ) -> None:
        with quiet():
            self._lm = BudgetedLM(language, tokens_per_batch, precision)
            self._tasks = TaskManager(include_path=str(folder), include_defaults=False) if folder else TaskManager()

    @property
    def tokens(self) -> int:
        """Tokens run through the base so far: prompts without padding, and all that was generated."""
        return self._lm.tokens

    @property
    def names(self) -> list[str]:
        """The tasks there are, groups and tags not counted."""
        return list(self._tasks.all_subtasks)

    def run(self, tasks: Sequence[str], shots: int | None) -> dict[str, Any]:
        """Run tasks and groups with `shots` examples in the prompt, or as many as they say themselves.

        Raises:
            Exception: of any kind, for tasks are code: no such data, no network, a package that is not installed.
        """
        _seed()
        with quiet(), torch.inference_mode():
            loaded = self._load(tasks)
            for task in loaded["tasks"].values():
                if shots is not None:
                    task.set_config(key="num_fewshot", value=shots)
                task.set_fewshot_seed(seed=DEFAULT_OTHER_SEED)
            found = evaluator.evaluate(self._lm, loaded, bootstrap_iters=0, log_samples=False)
        return _own_figures(dict(json.loads(json.dumps(found, default=handle_non_serializable))))

    def _load(self, tasks: Sequence[str]) -> Any:
        """Load tasks; data named by a relative path lies beside the file of its task."""
        file = self._tasks.task_index[tasks[0]].yaml_path if tasks[0] in self._tasks.task_index else None
        with contextlib.chdir(file.parent) if file else contextlib.nullcontext():
            return self._tasks.load(list(tasks))


def _own_figures(found: dict[str, Any]) -> dict[str, Any]:
    """Without the one metric that would not be what the harness finds elsewhere.

    MATH's exact_match is the verdict of math_verify, the same under every ANTLR. Its exact_match_original asks sympy's
    parser, which wants ANTLR 4.11 where Hydra wants 4.9, and without it all that is not equal to the letter counts 0.
    """
    for metrics in found["results"].values():
        for name in [name for name in metrics if name.startswith("exact_match_original")]:
            del metrics[name]
    return found


def _seed() -> None:
    """As the harness's own command does before each evaluation."""
    random.seed(DEFAULT_RANDOM_SEED)
    np.random.seed(DEFAULT_OTHER_SEED)  # some tasks draw from numpy's global generator
    torch.manual_seed(DEFAULT_OTHER_SEED)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No bars and no log of libraries: what matters is returned or raised."""
    import datasets  # type: ignore[import-untyped]

    bars, level = datasets.is_progress_bar_enabled(), logging.root.manager.disable
    datasets.disable_progress_bars()
    logging.disable(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(level)
        if bars:
            datasets.enable_progress_bars()
