"""Which weights a name means: base x stage -> Checkpoint, from conf/base/*.yaml or from a folder.

    checkpoint = resolve(load_base("qwen2.5-7b"), "instruct")    # qwen2.5-7b@instruct
    commit(checkpoint)                                           # what the Hub's branch points to today

Nothing here loads weights, and only `commit` may use the network.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]  # what OmegaConf.load raises

from rm_selection.checkpoint_folder import check_folder
from rm_selection.config import CONF, in_context, typed
from rm_selection.errors import ConfigError, GatedModelError, MissingModelError, ModelError, UnpublishedStage
from rm_selection.settings import setting

STAGES = ("pretrained", "instruct", "sft", "dpo", "rlvr")  # as publishers release them
CHAIN = ("sft", "dpo", "rlvr")  # made here, each from the one before it, the first from the pretrained base
MADE = tuple(f"made-{stage}" for stage in CHAIN)  # so named, they never pass for published ones
EVERY_STAGE = (*STAGES, *MADE)
LOCAL = "local"  # conf/base/local.yaml: a folder instead of published stages
TIMEOUT = 10.0  # seconds to wait for the Hub

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*", re.ASCII)  # no underscore: a run_id parts its fields with two
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)


@dataclass
class StageSource:
    """Where one stage of a base is published."""

    repo: str = setting("repository on the Hub, owner/name")
    revision: str = setting("branch, tag or commit; the record of a run holds the commit it led to")


@dataclass
class Base:
    """conf/base/<name>.yaml: a base model and what its publisher released of it."""

    name: str = setting("letters, digits, dots and dashes")
    family: str = setting("lineage, generations merged: qwen, llama, ...")
    params_b: float | None = setting("size, billions of parameters; null: unknown")
    tokens_t: float | None = setting("pre-training tokens, trillions; null: unknown")
    licence: str | None = setting("short name of the licence of its post-trained stages; null: unknown")
    stages: dict[str, StageSource] = setting("published stages, each with repo and revision")
    path: str | None = field(default=None, metadata={"help": "base=local only: the folder of a checkpoint"})
    folder: str | None = field(default=None, metadata={"help": "folder with a checkpoint for each stage, named so"})
    made_by: str | None = field(default=None, metadata={"help": "the command that makes the folder"})

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"base.name={self.name} is not allowed; give letters, digits, dots and dashes")
        for name, value in (("params_b", self.params_b), ("tokens_t", self.tokens_t)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f"base.{name}={value} of {self.name} is not allowed; give a number above 0, or null")
        if unknown := sorted(set(self.stages) - set(STAGES)):
            raise ConfigError(f"{self.name} has a stage {unknown[0]}; a stage is one of {', '.join(STAGES)}")
        for stage, source in self.stages.items():
            _check_repository(f"{self.name}@{stage}", source)


@dataclass(frozen=True)
class Checkpoint:
    """One stage of one base: the weights a run starts from.

    params_b: billions of parameters. tokens_t: trillions of pre-training tokens.
    source: a repository id, or the path of a folder. revision: of the repository; None for a folder.
    made_from: the checkpoint that post-training here started from; None for one that was published or given.
    """

    base: str
    stage: str
    family: str
    params_b: float | None
    tokens_t: float | None
    licence: str | None
    source: str
    revision: str | None
    made_from: str | None = None

    @property
    def name(self) -> str:
        """As in tables and run ids: <base>@<stage>."""
        return f"{self.base}@{self.stage}"


def bases() -> list[str]:
    """Names of the published bases, sorted; `local` is none of them."""
    return sorted(path.stem for path in (CONF / "base").glob("*.yaml") if path.stem != LOCAL)


def load_base(name: str) -> Base:
    """The base of conf/base/<name>.yaml.

    Raises:
        ConfigError: there is no such file, or a key of it is unknown, missing or of the wrong type.
    """
    known = bases()
    if name not in [*known, LOCAL]:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ConfigError(f"base={name} is unknown; {hint}give one of conf/base, or base=local base.path=FOLDER")
    file = CONF / "base" / f"{name}.yaml"
    try:
        content = OmegaConf.load(file)
    except (YAMLError, OmegaConfBaseException, OSError) as error:
        raise ConfigError(f"{file} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, DictConfig):
        raise ConfigError(f"{file} is not a table of settings; start it with name: {name}")
    try:
        named = "${" in file.read_text(encoding="utf-8")  # few do, and looking for names takes as long as reading
        base = typed(Base, in_context(content) if named else content)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error
    if base.name != name:
        raise ConfigError(f"{file}: name is {base.name}; it must be that of the file")
    return base


def resolve(base: Base, stage: str, study: Path | None = None) -> Checkpoint:
    """The checkpoint of one stage; for a folder, the stage is taken as told.

    Args:
        base: of conf/base, or a folder.
        stage: one of EVERY_STAGE.
        study: folder of the study that made stages lie in.

    Raises:
        ConfigError: an unknown stage, or a folder under the name of a published base.
        UnpublishedStage: the base has no such stage; the sentence names those it has.
        ModelError: base.path is not the folder of a checkpoint in safetensors, or the stage was not made.
    """
    if stage not in EVERY_STAGE:
        raise ConfigError(f"stage={stage} is not allowed; give one of {', '.join(EVERY_STAGE)}")
    if stage in MADE:
        return _made(base, stage, study)
    source, revision = _place(base, stage)
    return Checkpoint(base.name, stage, base.family, base.params_b, base.tokens_t, base.licence, source, revision)


def parent(stage: str) -> str:
    """The stage that a made one starts from: pretrained, or the made one before it."""
    return ("pretrained", *MADE)[MADE.index(stage)]


def made_folder(study: Path, base: str, stage: str) -> Path:
    """Where a study keeps a made stage: its record, and under model/ the checkpoint."""
    return study / "stages" / f"{base}@{stage}"


def commit(checkpoint: Checkpoint) -> str | None:
    """The commit that the checkpoint's revision means now: asked of the Hub once, else of its cache; None for a folder.

    Raises:
        MissingModelError: no such repository or revision, or neither the Hub nor its cache has an answer.
        GatedModelError: the repository wants its licence accepted first.
    """
    if checkpoint.revision is None:
        return None
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_url

    try:  # of a file: about a gated repository the Hub tells everyone, its files it refuses
        url = hf_hub_url(checkpoint.source, "config.json", revision=checkpoint.revision)
        found = get_hf_file_metadata(url, timeout=TIMEOUT).commit_hash
    except (OSError, errors.HTTPError) as error:  # type: ignore[attr-defined]  # of the HTTP library it uses
        if refusal := _refusal(checkpoint, error):
            raise refusal from error
        found = _cached(checkpoint, error)
    if found is None:
        raise MissingModelError(f"{_what(checkpoint)} is served without a commit; check the variable HF_ENDPOINT")
    return found


def _refusal(checkpoint: Checkpoint, error: Exception) -> ModelError | None:
    """The Hub's own no, as one sentence; None when it gave no answer."""
    from huggingface_hub import errors
    from huggingface_hub.constants import ENDPOINT

    what, revision = _what(checkpoint), checkpoint.revision
    if isinstance(error, errors.GatedRepoError):  # before RepositoryNotFoundError, from which it derives
        way = f"accept its licence at {ENDPOINT}/{checkpoint.source} and log in with `hf auth login`"
        return GatedModelError(f"{what} is gated; {way}")
    if isinstance(error, errors.RepositoryNotFoundError):
        return MissingModelError(f"{what} is no repository that you can see; check its name, or log in")
    if isinstance(error, errors.RevisionNotFoundError):
        return MissingModelError(f"{what} has no revision {revision}; give one that its repository has")
    if isinstance(error, errors.EntryNotFoundError):
        return MissingModelError(f"{what} has no config.json at {revision}; give a repository of transformers")
    return None


def _cached(checkpoint: Checkpoint, error: Exception) -> str:
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(checkpoint.source, "config.json", revision=checkpoint.revision)
    if isinstance(config, str):
        return Path(config).parent.name  # .../snapshots/<commit>/config.json
    why = " ".join(str(error).split())[:120] or type(error).__name__
    way = "connect, fill its cache beforehand, or give base=local base.path=FOLDER"
    raise MissingModelError(f"{_what(checkpoint)} is not in the Hub's cache and the Hub gave no answer ({why}); {way}")


def _what(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.name} ({checkpoint.source})"


def _place(base: Base, stage: str) -> tuple[str, str | None]:
    if base.folder is not None:
        return _kept(base, stage), None
    return _folder(base) if base.path is not None else _published(base, stage)


def _made(base: Base, stage: str, study: Path | None) -> Checkpoint:
    """A stage that was post-trained here; one that is unfinished or failed is none."""
    from rm_selection.runs import read_record

    folder = None if study is None else made_folder(study, base.name, stage)
    record = read_record(folder) if folder else None
    if folder is None or record is None or record["status"] != "finished":
        chain = ",".join(CHAIN[: MADE.index(stage) + 1])
        way = f"python -m rm_selection.posttrain base={base.name} stage={chain} study={study.name if study else '...'}"
        raise MissingModelError(f"{base.name} has no stage {stage} in this study; make it with: {way}")
    facts = (base.name, stage, base.family, base.params_b, base.tokens_t, base.licence)
    return Checkpoint(*facts, str(check_folder(folder / "model")), None, record["checkpoint"]["made_from"])


def _kept(base: Base, stage: str) -> str:
    """The stage's own folder under base.folder."""
    root = Path(base.folder or "")
    has = [name for name in STAGES if (root / name).is_dir()]
    if stage in has:
        return str(check_folder(root / stage))
    if has:
        raise UnpublishedStage(f"{base.name} has no stage {stage} in {root}; give stage={' or stage='.join(has)}")
    way = f"make it with: {base.made_by}" if base.made_by else "give another base.folder="
    raise MissingModelError(f"{root} holds no checkpoint of {base.name}; {way}")


def _published(base: Base, stage: str) -> tuple[str, str]:
    if source := base.stages.get(stage):
        return source.repo, source.revision
    if not base.stages:
        raise ConfigError(f"base {base.name} names no checkpoint; give base.path=FOLDER")
    has = [name for name in STAGES if name in base.stages]
    raise UnpublishedStage(f"{base.name} has no published stage {stage}; give stage={' or stage='.join(has)}")


def _folder(base: Base) -> tuple[str, None]:
    if base.stages or base.name in bases():  # a folder must not pass for what a publisher released
        raise ConfigError(f"base.path given to the published {base.name}; give base=local, or another base.name")
    return str(check_folder(base.path or "")), None


def _check_repository(what: str, source: StageSource) -> None:
    if not _REPOSITORY.fullmatch(source.repo) or ".." in source.repo or len(source.repo) > 96:
        way = "for a folder give base=local base.path=FOLDER"
        raise ConfigError(f"{what}: repo {source.repo!r} is no repository id of the form owner/name; {way}")
    if not source.revision.strip():
        raise ConfigError(f"{what}: revision is empty; give a branch, tag or commit such as main")
