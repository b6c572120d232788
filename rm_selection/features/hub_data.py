"""Data sets of public benchmarks when the Hub is out of reach: those in the cache are used, others fail at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

TIMEOUT = 10.0  # seconds to wait for the Hub, once for all tasks


def reachable() -> bool:
    """Whether the Hub answers; any answer counts, a refusal too."""
    from huggingface_hub import errors, get_hf_file_metadata
    from huggingface_hub.constants import ENDPOINT

    try:
        get_hf_file_metadata(ENDPOINT, timeout=TIMEOUT)
    except (errors.HfHubHTTPError, errors.FileMetadataError):
        return True
    except (OSError, errors.HTTPError):  # type: ignore[attr-defined]  # of the HTTP library it uses
        return False
    return True


@contextlib.contextmanager
def cache_alone(when: bool) -> Iterator[None]:
    """Let the libraries of the Hub read their caches alone: else each data set would try again for half a minute."""
    if not when:
        yield
        return
    import datasets  # type: ignore[import-untyped]
    import huggingface_hub.constants as hub

    before = hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before
