"""A checkpoint on disk: whether a folder is one that loads without running code of others, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from rm_selection.errors import DamagedModelError, MissingModelError, ModelError, UnsafeModelError

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER = "adapter_config.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
# What decides the numbers that come out: weights, shapes, and how text becomes tokens. A README does not.
CONTENT = (
    *("config.json", ADAPTER, "*.safetensors", INDEX, "token*", "*.model", "*.tiktoken", "vocab*", "merges.txt"),
    *("special_tokens_map.json", "added_tokens.json", "chat_template*"),
)


def check_folder(path: str | Path) -> Path:
    """`path` as a folder with a config and all weights in safetensors; the weights themselves are not read.

    Raises:
        MissingModelError: there is no such folder, or it holds no model.
        ModelError: it holds an adapter alone.
        DamagedModelError: its config is no JSON, or weights are missing.
        UnsafeModelError: its weights are pickled.
    """
    folder = Path(path).expanduser()
    if not str(path).strip():  # base.path=$FOLDER where FOLDER is unset; Path("") would be the current folder
        raise MissingModelError("the path is empty; give the folder of a checkpoint")
    if folder.is_file():
        raise MissingModelError(f"{path} is a file; give the folder that holds config.json and {WEIGHTS}")
    if not folder.is_dir():
        raise MissingModelError(f"{path} does not exist; give the folder of a checkpoint")
    if not (folder / "config.json").is_file():
        if (folder / ADAPTER).is_file():
            raise _adapter_alone(folder)
        raise MissingModelError(f"{path} has no config.json; give the folder that save_pretrained wrote")
    _json(folder / "config.json")
    _check_weights(folder)
    return folder


def fingerprint(path: str | Path) -> str:
    """SHA-256, in hex, of a checkpoint's config, tokenizer and weights: their names and contents, not their times.

    Of a LoRA adapter, the adapter's own.

    Raises:
        ModelError: as check_folder, but for an adapter.
    """
    folder = Path(path).expanduser()
    if not (folder / ADAPTER).is_file():
        folder = check_folder(path)
    files = {file for pattern in CONTENT for file in folder.glob(pattern) if file.is_file()}
    whole = hashlib.sha256()
    for file in sorted(files):
        with file.open("rb") as stream:
            whole.update(f"{file.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()


def _check_weights(folder: Path) -> None:
    """transformers looks for one file or an index with its shards; safetensors under other names it does not find."""
    if (folder / INDEX).is_file() and not (folder / WEIGHTS).is_file():
        _check_shards(folder)
    elif not (folder / WEIGHTS).is_file():
        raise _no_weights(folder)


def _adapter_alone(folder: Path) -> ModelError:
    return ModelError(f"{folder} is a LoRA adapter without its base; merge it with merge_and_unload and save that")


def _no_weights(folder: Path) -> ModelError:
    if (folder / ADAPTER).is_file():
        return _adapter_alone(folder)
    if pickles := sorted(file.name for pattern in PICKLES for file in folder.glob(pattern)):
        way = "load it where you trust it and save_pretrained it again, which writes safetensors"
        return UnsafeModelError(f"{folder} has its weights pickled ({pickles[0]}), which can run code; {way}")
    return DamagedModelError(f"{folder} has neither {WEIGHTS} nor {INDEX}; download the weights too")


def _check_shards(folder: Path) -> None:
    places = _json(folder / INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise DamagedModelError(f"{folder / INDEX} names no weights; download it again")
    shards = {str(name) for name in places.values()}
    if absent := sorted(name for name in shards if not (folder / name).is_file()):
        few = f"{len(absent)} of {len(shards)} shards, first {absent[0]}"
        raise DamagedModelError(f"{folder} lacks {few}; download it again")


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DamagedModelError(f"{file} is no JSON ({' '.join(str(error).split())}); download it again") from error
    if not isinstance(content, dict):
        raise DamagedModelError(f"{file} is no JSON object; download it again")
    return content
