"""What conf/train.yaml and conf/evaluate.yaml hold, group by group; see settings.py for how."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from rm_selection.checkpoints import EVERY_STAGE, Base
from rm_selection.errors import ConfigError
from rm_selection.evaluation_sets import EvaluationConfig
from rm_selection.microcosm_settings import MicrocosmConfig
from rm_selection.protocol import Lora, Protocol
from rm_selection.settings import ObjectiveConfig, StudyConfig, above_zero, in_group, refused, setting, within

REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*"  # OWNER/NAME on the Hub


@dataclass
class DatasetConfig:
    """conf/dataset/: what a reward model is trained on."""

    name: str = setting("stands in the run's name")
    counterpart: str | None = setting("dataset of conf/dataset to take where the objective needs the other kind")
    kind: str = setting("pairs or ratings")
    reader: str = setting("layout of a row; `schema` is ours, see the README")
    repo: str | None = setting("repository on the Hub; null: files")
    subset: str | None = setting("folder inside the repository")
    revision: str | None = setting("branch, tag or commit of the repository")
    train: str | None = setting("split of the repository, or a file of JSON lines")
    validation: str | None = setting("split or file to pick the checkpoint by; null: a share of the training prompts")
    validation_share: float | None = setting("share of prompts held out where there is no validation split")
    pairs: str | None = setting("ratings only: pairs that choose the merge vector, a file or a name of conf/dataset")
    licence: str | None = setting("licence of the data")
    attributes: list[str] | None = setting("ratings only: rated attributes, one output of the model each")
    low: float | None = setting("ratings only: least value of a rating")
    high: float | None = setting("ratings only: greatest value of a rating")
    max_length: int = setting("tokens; longer conversations are left out and counted")
    common_subset: bool = setting("leave out by length in bytes, so that every base trains on the same rows")
    limit: int | None = setting("most rows to read; null: all")
    max_overlap: float = setting(
        "share of evaluation prompts that rows to train, validate or merge by may hold, 0 to 1"
    )
    drop_overlap: bool = setting("leave out rows to train, validate or merge by that hold an evaluation prompt")

    def __post_init__(self) -> None:
        if self.kind not in ("pairs", "ratings"):
            raise refused("dataset.kind", self.kind, "pairs or ratings")
        if not 0 <= self.max_overlap <= 1:
            raise refused("dataset.max_overlap", self.max_overlap, "a share from 0 to 1")
        within("dataset.max_length", self.max_length, 8, 1_000_000)
        if self.limit is not None:
            within("dataset.limit", self.limit, 1, 10**9)
        if self.validation_share is not None and not 0 < self.validation_share < 1:
            raise refused("dataset.validation_share", self.validation_share, "a share above 0 and below 1, or null")
        if self.train is None:
            raise refused("dataset.train", None, "a file of JSON lines, or choose another dataset=")


@dataclass
class TrainingConfig:
    """conf/training/: how a reward model is trained; the study's protocol is the default."""

    name: str = setting("full or lora")
    global_batch: int = setting("pairs or ratings an optimiser step")
    micro_batch: int = setting("of them at once on the device; never changes the gradient")
    warmup_steps: int = setting("steps until the constant rate is reached")
    checkpoint_steps: int = setting("steps between checkpoints, each of which is validated; the best wins")
    max_steps: int | None = setting("end after so many steps; null: as the epochs say")
    rate_factor: float = setting("times the objective's rates")
    lora_rank: int | None = setting("rank of the adapters; null: all weights are trained")
    gradient_checkpointing: bool = setting("less memory, a third more time")
    resume: bool = setting("go on from the last whole checkpoint; false starts anew")
    push_to_hub: str | None = setting("repository OWNER/NAME to upload the finished model to, private; null: none")

    def __post_init__(self) -> None:
        for name in ("global_batch", "micro_batch", "checkpoint_steps"):
            within(f"training.{name}", getattr(self, name), 1, 1_000_000)
        within("training.warmup_steps", self.warmup_steps, 0, 1_000_000)
        for name, most in (("max_steps", 10**9), ("lora_rank", 1_000_000)):
            if getattr(self, name) is not None:
                within(f"training.{name}", getattr(self, name), 1, most)
        above_zero("training.rate_factor", self.rate_factor)
        if self.global_batch % self.micro_batch:
            raise refused(
                "training.micro_batch", self.micro_batch, f"a divisor of training.global_batch={self.global_batch}"
            )
        if self.push_to_hub is not None and not re.fullmatch(REPOSITORY, self.push_to_hub):
            raise refused("training.push_to_hub", self.push_to_hub, "a repository as OWNER/NAME, or null")


@dataclass
class HardwareConfig:
    """conf/hardware/: where it is trained."""

    name: str = setting("stands in the record")
    device: str = setting("auto, cpu or cuda")
    precision: str = setting("auto (bf16 on CUDA), float32, bf16 or bf16_weights; head and loss are float32 always")
    tokens_per_batch: int = setting("padded tokens scored at once")
    threads: int | None = setting("CPU threads of torch; null: as many as it chooses")
    sharded: bool = setting("spread a training over the processes that torchrun started (FSDP2)")
    micro_tokens: int | None = setting("padded tokens trained on at once; null: training.micro_batch rows")
    fills_memory: bool = setting("on one CUDA device, find micro_tokens before the first step where it is null")
    shared_prompts: bool = setting("run a prompt once for all its responses, where a check finds the same scores")

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "cuda"):
            raise refused("hardware.device", self.device, "auto, cpu or cuda")
        if self.precision not in ("auto", "float32", "bf16", "bf16_weights"):
            raise refused("hardware.precision", self.precision, "auto, float32, bf16 or bf16_weights")
        within("hardware.tokens_per_batch", self.tokens_per_batch, 1, 10**9)
        if self.micro_tokens is not None:
            within("hardware.micro_tokens", self.micro_tokens, 1, 10**9)
        if self.threads is not None:
            within("hardware.threads", self.threads, 1, 1024)

    def in_one_process(self, command: str) -> None:
        """Refuse to spread over processes what a command does in one.

        Raises:
            ConfigError: it was to be spread.
        """
        if self.sharded:
            raise ConfigError(
                f"hardware={self.name} spreads a training, and {command} runs in one process; give hardware=auto"
            )


def protocol(training: TrainingConfig, hardware: HardwareConfig, seed: int) -> Protocol:
    """How a reward model is trained, as far as these settings say; the rest is left at the study's."""
    rank = training.lora_rank
    return Protocol(
        rate_factor=training.rate_factor,
        global_batch=training.global_batch,
        micro_batch=training.micro_batch,
        micro_tokens=hardware.micro_tokens,
        fills_memory=hardware.fills_memory,
        max_steps=training.max_steps,
        warmup_steps=training.warmup_steps,
        checkpoint_every=training.checkpoint_steps,
        seed=seed,
        lora=None if rank is None else Lora(rank=rank, alpha=2 * rank),
        gradient_checkpointing=training.gradient_checkpointing,
        tokens_per_batch=hardware.tokens_per_batch,
    )


@dataclass
class TrackingConfig:
    """conf/tracking/: W&B, or nothing."""

    mode: str = setting("auto (online with a key and a network, else offline), offline or off")
    project: str = setting("W&B project")

    def __post_init__(self) -> None:
        if self.mode not in ("auto", "offline", "off"):
            raise refused("tracking.mode", self.mode, "auto, offline or off")


@dataclass
class TrainConfig(StudyConfig):
    """conf/train.yaml."""

    base: Base = in_group("base model, a name of conf/base; base=local base.path=FOLDER for one on disk")
    stage: str = setting("post-training stage the reward model starts from")
    dataset: DatasetConfig = in_group("preference data; dataset=jsonl dataset.train=FILE for your own")
    objective: ObjectiveConfig = in_group("loss: bradley_terry on pairs, regression on ratings")
    training: TrainingConfig = in_group("full or lora, with the study's protocol")
    hardware: HardwareConfig = in_group("auto, cpu, gpu, or fsdp for one cell over several processes")
    evaluation: EvaluationConfig = in_group(
        "benchmarks to score on, one or [a,b]; evaluation=jsonl evaluation.path=FILE", several=True
    )
    tracking: TrackingConfig = in_group("wandb or off")
    microcosm: MicrocosmConfig = in_group("small world that base=micro-* and dataset=microcosm lie in: full or smoke")
    seed: int = setting("seed of head, order of data and resamples, 0 or more")
    until: float = setting("share of the steps to train now; below 1 it stops there, scored, and may be gone on with")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.until <= 1:
            raise refused("until", self.until, "a share of the steps, above 0 to 1")
        if self.stage not in EVERY_STAGE:
            raise refused("stage", self.stage, " or ".join(EVERY_STAGE))
        within("seed", self.seed, 0, 2**32 - 1)

    @property
    def context(self) -> dict[str, Any]:
        """Settings that a file of conf/ read on its own may name, as in ${microcosm.folder}."""
        return {"output": self.output, "microcosm": asdict(self.microcosm)}


@dataclass
class EvaluateConfig(StudyConfig):
    """conf/evaluate.yaml."""

    model: str = setting("reward model to score: a folder or a repository on the Hub")
    revision: str | None = setting("branch, tag or commit of the repository; null: its main branch")
    weights: list[float] | None = setting(
        "merge vector for a model with several outputs; null: the one it was saved with"
    )
    hardware: HardwareConfig = in_group("auto, cpu or gpu")
    evaluation: EvaluationConfig = in_group(
        "benchmarks to score on, one or [a,b]; evaluation=jsonl evaluation.path=FILE", several=True
    )
    microcosm: MicrocosmConfig = in_group("small world that evaluation=microcosm lies in: full or smoke")
    seed: int = setting("seed of the resamples, 0 or more")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hardware.in_one_process("evaluate")
        within("seed", self.seed, 0, 2**32 - 1)
