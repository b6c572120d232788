import numpy as np
import pytest

from rm_selection.errors import StudyError
from rm_selection.features import state_cache
from rm_selection.features.frozen_pass import States
from rm_selection.features.responses import Response
from rm_selection.features.state_cache import gathered, place

RESPONSES = [Response((1, 2, number), 1) for number in range(6)]


class Pass:
    """A pass, two responses a batch, that counts what it runs and may be killed."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.ran: list[int] = []
        self.dies_at = dies_at

    def __call__(self, rest):
        for start in range(0, len(rest), 2):
            batch = [one.ids[-1] for one in rest[start : start + 2]]
            if self.dies_at in batch:
                raise KeyboardInterrupt
            self.ran += batch
            yield States(
                np.full((2, 1, 1), 1, "f4") * np.array(batch)[:, None, None], np.array(batch, float), np.ones(2, int)
            )


def same(states: States) -> bool:
    return states.log_p.tolist() == list(range(6)) and states.views[:, 0, 0].tolist() == list(range(6))


def test_a_second_pass_runs_nothing(tmp_path):
    first, second = Pass(), Pass()
    path = place(tmp_path, "weights", RESPONSES, "float32")
    assert gathered(path, RESPONSES, first)[1] == 6
    states, fresh = gathered(path, RESPONSES, second)
    assert (same(states), fresh, second.ran) == (True, 0, [])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_killed_pass_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(state_cache, "SAVE_EVERY_S", 0)
    path = place(tmp_path, "weights", RESPONSES, "float32")
    with pytest.raises(KeyboardInterrupt):
        gathered(path, RESPONSES, Pass(dies_at=4))
    second = Pass()
    states, fresh = gathered(path, RESPONSES, second)
    assert (same(states), fresh, second.ran) == (True, 2, [4, 5])


def test_a_damaged_file_is_made_again(tmp_path):
    path = place(tmp_path, "weights", RESPONSES, "float32")
    gathered(path, RESPONSES, Pass())
    path.write_bytes(path.read_bytes()[:-3])
    states, fresh = gathered(path, RESPONSES, Pass())
    assert (same(states), fresh) == (True, 6)


def test_other_weights_tokens_or_precision_have_another_file(tmp_path):
    other = [*RESPONSES[:-1], Response((1, 2, 5), 2)]
    paths = [
        place(tmp_path, *given)
        for given in (
            ("a", RESPONSES, "float32"),
            ("b", RESPONSES, "float32"),
            ("a", other, "float32"),
            ("a", RESPONSES, "bf16"),
        )
    ]
    assert len(set(paths)) == 4


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="cannot be written"):
        gathered(tmp_path / "file" / "states.safetensors", RESPONSES, Pass())
