"""From YAML in conf/ and the command line to a checked dataclass; what is unknown, missing or mistyped is refused.

Hydra objects stop here: an entry point receives one of the dataclasses of settings.py. Defaults live in YAML only.
"""

from __future__ import annotations

import difflib
import functools
import io
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from rm_selection.errors import ConfigError, SelectionError
from rm_selection.settings import shown

T = TypeVar("T")

_NO_TEXTS = ("null", "true", "false", "nan", "inf")  # words that Hydra takes for other values

_PACKAGE = Path(__file__).resolve().parent
# An installed wheel carries conf/ inside the package; a checkout has it beside the package.
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"


def entry_point(
    name: str, schema: type[T], usage: str | None = None
) -> Callable[[Callable[[T], None]], Callable[[], None]]:
    """Turn `task(settings)` into a command configured by conf/<name>.yaml.

    usage: how its settings are asked for and given, where that is not by `python -m rm_selection.<name>` alone.

    Exit codes: 0 done; 2 the input is at fault, told in one sentence; 130 interrupted; 1 a defect of ours.
    """

    def decorate(task: Callable[[T], None]) -> Callable[[], None]:
        @functools.wraps(task)
        def main() -> None:
            _show_any_name()
            try:
                if {"-h", "--help"} & set(sys.argv[1:]):
                    print(_help(name, schema, task.__doc__ or "", usage), flush=True)
                    return
                _check_words(sys.argv[1:], schema)
                sys.argv[1:] = _listed(sys.argv[1:], schema)
                _run(name, schema, task)
            except SelectionError as error:
                _leave(f"error: {error}", 2)
            except KeyboardInterrupt:
                _leave("interrupted: no file was left half written; the same command starts again", 130)
            except BrokenPipeError:  # read by `head`, which has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                sys.exit(141)

        return main

    return decorate


def _run(name: str, schema: type[T], task: Callable[[T], None]) -> None:
    import hydra.core.hydra_config
    from hydra.errors import HydraException

    from rm_selection import sweeps
    from rm_selection.jobs import refusals
    from rm_selection.launchers.names import keep_ours

    # argparse refuses settings on both sides of -m, so it goes first
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    keep_ours(CONF)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors reach us instead of being printed by Hydra

    def job(config: DictConfig) -> None:
        _show_any_name()
        known = hydra.core.hydra_config.HydraConfig.get()
        try:  # kept from Hydra, which would print its own lines about it; in a sweep the other jobs go on
            _check_choices(known.runtime.choices, schema)
            task(typed(schema, config))
        except SelectionError as error:
            refused.add(error, 0 if OmegaConf.is_missing(known.job, "num") else known.job.num)

    try:
        with refusals() as refused, sweeps.kept():
            hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)(job)()
    except HydraException as error:
        raise ConfigError(sentence(error, schema)) from error
    except PermissionError as error:  # Hydra's record of a sweep, or what no task foresaw
        where = f"{error.filename} cannot be read or written ({error.strerror})"
        raise SelectionError(f"{where}; check its permissions, or choose another with output=") from error


def _check_choices(choices: Mapping[str, Any], schema: type[Any]) -> None:
    """Refuse several files of a group, which Hydra would lay one over the other.

    Raises:
        ConfigError: a group got a list.
    """
    for name in (f.name for f in fields(schema) if f.metadata.get("group")):
        if not isinstance(choices.get(name), str):
            raise ConfigError(f"{name} names several; give one, or run each with -m")


def _check_words(words: Sequence[str], schema: type[Any]) -> None:
    """Refuse what Hydra would answer with its own usage text or a traceback.

    Raises:
        ConfigError: a setting is written as an option, or a value has no name.
    """
    names = {f.name for f in fields(schema)}
    for word in words:
        name = word.lstrip("-").partition("=")[0].replace("-", "_")
        if word.startswith("-") and name in names:
            raise ConfigError(f"{word} is not an option; settings are written without dashes: {name}=...")
        if word.startswith("="):
            raise ConfigError(f"{word} has no name; settings are written name=value, without blanks around =")


def _listed(words: Sequence[str], schema: type[Any]) -> list[str]:
    """The words, with a,b of a setting that is a sequence written as Hydra's list [a,b]."""
    names = {f.name for f in fields(schema) if f.metadata.get("sequence")}

    def listed(word: str) -> str:
        name, _, value = word.partition("=")
        return f"{name}=[{value}]" if name in names and value and value[0] not in "[$" else word

    return [listed(word) for word in words]


def typed(schema: type[T], config: DictConfig, under: str = "") -> T:
    """The checked settings of `config`.

    Args:
        schema: a dataclass of settings.
        config: what was given.
        under: where they stand, as in "feature.", to be named in an error.

    Raises:
        ConfigError: a key that `schema` lacks, a value of the wrong type or out of range, or a missing value.
    """
    try:
        structured = _structured(schema)  # type: ignore[arg-type]  # mypy asks of the class what its instances lack
        merged = OmegaConf.merge(structured, config)
        if missing := sorted(OmegaConf.missing_keys(merged)):
            raise ConfigError(f"setting {under}{missing[0]} has no value; give one with {under}{missing[0]}=...")
        settings = OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        raise ConfigError(_unknown(str(error.full_key), schema, under)) from error
    except OmegaConfBaseException as error:
        raise ConfigError(_mistyped(error, schema, under)) from error
    if not isinstance(settings, schema):
        raise ConfigError(f"the configuration is not a table of settings of {schema.__name__}")
    return settings


@functools.cache
def _structured(schema: type[Any]) -> Any:
    """Kept, for a budget reads seventy files of one schema; merging copies it."""
    return OmegaConf.structured(schema)


def quoted(name: str, value: str) -> str:
    """A setting as a word of a command, name=value, that Hydra reads back as this text, whatever blanks it holds."""
    from hydra.core.override_parser.types import Quote, QuotedString

    plain = re.fullmatch(r"[A-Za-z_/][A-Za-z0-9_./-]*", value) and value.lower() not in _NO_TEXTS
    return f"{name}={value if plain else QuotedString(value, Quote.single).with_quotes()}"


def in_context(content: DictConfig, context: Mapping[str, Any] | None = None) -> DictConfig:
    """The settings of a file read on its own, what it takes from other groups filled in.

    Args:
        content: of a file of conf/.
        context: settings that it may name, as in ${microcosm.folder}; None: as shipped.
    """
    whole = OmegaConf.create({**(_shipped() if context is None else context), "content": content})
    OmegaConf.resolve(whole)
    return DictConfig(whole.content)


@functools.cache
def _shipped() -> dict[str, Any]:
    small = OmegaConf.to_container(OmegaConf.load(CONF / "microcosm" / "full.yaml"), resolve=False)
    return {"output": "outputs", "microcosm": small}


def _help(name: str, schema: type[Any], summary: str, usage: str | None) -> str:
    values = _defaults(name)
    rows = [(f"{f.name}={shown(values.get(f.name))}", f.metadata["help"]) for f in fields(schema)]
    width = max(len(left) for left, _ in rows)
    lines = [f"  {left:<{width}}  {text}" for left, text in rows]
    usage = usage or f"python -m rm_selection.{name} [setting=value ...]"
    return "\n".join([summary.strip(), "", f"usage: {usage}", "", "settings and their defaults:", *lines])


def _defaults(name: str) -> dict[str, Any]:
    """Values of conf/<name>.yaml, and for its groups the names in its defaults list."""
    loaded = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"), resolve=False)
    values: dict[str, Any] = {str(k): v for k, v in loaded.items()} if isinstance(loaded, dict) else {}
    for entry in values.get("defaults", []):
        values |= entry if isinstance(entry, dict) else {}
    return values


def sentence(error: Exception, schema: type[Any]) -> str:
    """Hydra's own errors, which come before our types are known, as one sentence."""
    text = str(error)
    if found := re.search(r"[Cc]ould not override '([^']+)'", text):
        return _unknown(found[1], schema)
    if found := re.search(
        r"ould not find '(\w+)/([^']*)'.*Available options in '\w+':\n(.*?)(?:\nConfig|\Z)", text, re.S
    ):
        options = found[3].split()
        near = difflib.get_close_matches(found[2], options, n=1)
        hint = f"did you mean {near[0]}? give" if near else "give"
        return f"{found[1]}={found[2]} is not allowed; {hint} {' or '.join(options)}"
    if "mbiguous value for argument" in text and (found := re.search(r"argument '([^=]+)=([^']*)'", text)):
        several = {f.name for f in fields(schema) if f.type == "Any"}
        how = f"write a list as '{found[1]}=[{found[2]}]'" if found[1] in several else "give one, or run each with -m"
        return f"{found[1]}={found[2]} names several values; {how}"
    first = " ".join(re.split(r"\n\n|\nSee https", text, maxsplit=1)[0].split())
    form = "settings are written name=value, unusual values quoted twice: \"name='a (1).csv'\"; see --help"
    return f"the command line could not be read ({first}); {form}"


def _unknown(key: str, schema: type[Any], under: str = "") -> str:
    parent, _, name = key.rpartition(".")
    if not (names := _names_below(schema, parent)):
        parent, name, names = "", key, [f.name for f in fields(schema)]
    elif name in names:  # Hydra knows only what the chosen file holds
        return f"{under}{key} is no setting of the chosen {parent}; the files of conf/{parent} that hold it take it"
    if (where := getattr(schema, "ELSEWHERE", {}).get(key.partition(".")[0])) is not None:
        return f"{key} is no setting here: {where}"
    near = difflib.get_close_matches(name, names, n=1)
    path = f"{under}{parent}." if parent else under
    hint = f"did you mean {path}{near[0]}? " if near else ""
    return f"unknown setting {under}{key}; {hint}allowed are {', '.join(path + other for other in names)}"


def _names_below(schema: type[Any], group: str) -> list[str]:
    """The settings of a group, of all its kinds where its files differ; none where `group` is no group."""
    inner = get_type_hints(schema).get(group)
    kinds = [inner] if is_dataclass(inner) else []
    kinds += [kind for f in fields(schema) if f.name == group for kind in f.metadata.get("kinds", {}).values()]
    return list(dict.fromkeys(f.name for kind in kinds for f in fields(kind)))


def _mistyped(error: OmegaConfBaseException, schema: type[Any], under: str = "") -> str:
    key = str(error.full_key or error.key)
    texts = {f.name: f.metadata["help"] for f in fields(schema) if f.default is not NO_DEFAULT}
    reason = " ".join(str(error.msg or error).split("\n")[0].split())
    return f"{under}{key} is not valid: {reason}; {under}{key} is: {texts.get(key, 'see --help')}"


def _show_any_name() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name the terminal cannot show is no reason to stop


def _leave(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)
