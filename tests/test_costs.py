"""Hours and memory of a cell, against sums done by hand and against what was measured."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rm_selection import cost_tables, costs
from rm_selection.cell_states import DONE, Cell
from rm_selection.costs import Cost, Device, Load, Shape, named
from rm_selection.errors import SelectionError
from rm_selection.forecast import Known

LOAD = Load(train=1e6, validation=1e5, scored=2e5, probe=3e4, row=4096, precision="bf16")
H200_1B = 19_723 * 1.236e9 * 6  # operations a second of the timed training of all weights


def test_hours_are_operations_over_what_the_device_was_timed_at():
    """Three rates of 1e6 tokens at 6 operations a weight, and 1e5 validated at 2."""
    cost = costs.training(costs.shape(2.0), replace(LOAD, rates=3), named("h200"))
    assert cost.hours == pytest.approx(3 * (1e6 * 6 + 1e5 * 2) * 2e9 / H200_1B / 3600)
    assert cost.basis == "a training timed on h200 on 2026-11-27"
    scored = costs.scoring(costs.shape(2.0), LOAD, named("h200"))
    assert scored.hours == pytest.approx(2e5 * 2 * 2e9 / H200_1B / 3600)
    assert costs.probe(costs.shape(2.0), LOAD, named("h200")).hours == pytest.approx(scored.hours * 3e4 / 2e5)


def test_adapters_save_the_weights_gradients_and_recomputing_adds_a_forward_pass():
    assert [costs.per_token(lora, again) for lora in (False, True) for again in (False, True)] == [6, 8, 4, 6]


def test_a_device_that_was_not_timed_is_assumed_to_reach_the_same_share_of_its_peak():
    rate, basis = costs.reached(named("a6000"), 1.2)
    assert rate == pytest.approx(H200_1B * 154.8 / 989)
    assert basis == "assumed: 15% of 154.8 TFLOP/s, the share in a training timed on h200 on 2026-11-27"


def test_a_training_of_the_same_kind_goes_before_one_of_the_same_size():
    assert costs.reached(named("h200"), 1.2, lora=True)[0] == pytest.approx(3_758 * 6.607e9 * 6)


def test_a_climb_takes_three_trainings_of_any_number_of_rates():
    """Four to three eighths, three to five and two to the end: 1.5 + 0.75 + 0.75."""
    assert costs.trainings(10, "climb") == costs.trainings(8, "climb") == pytest.approx(3)
    assert costs.trainings(2, "climb") == pytest.approx(2)
    assert costs.trainings(10, "grid") == 10
    assert costs.trainings(10, "climb", until=0.125) == pytest.approx(0.5)
    assert costs.trainings(10, "climb", until=0.5) == pytest.approx(1.875)
    assert costs.trainings(4, "grid", until=0.5) == 2


@pytest.mark.parametrize("row", [row for row in cost_tables.throughput() if row.peak_gib], ids=lambda row: row.params_b)
def test_memory_is_within_a_tenth_of_what_was_measured(row):
    load = replace(LOAD, row=row.row_tokens, precision=row.precision, checkpointing=row.recomputed)
    load = replace(load, lora_rank=16 if row.lora else None)
    found = costs.memory(Shape(row.params_b, row.hidden, row.layers), load, named(row.device))
    assert found == pytest.approx(row.peak_gib, rel=0.1)


def test_all_weights_take_18_bytes_each_in_bf16_and_16_in_float32():
    """Weight 4, gradient 4, AdamW 8, and the bf16 copy 2; a row of no tokens adds nothing."""
    empty, base = replace(LOAD, row=0), costs.shape(1.0)
    assert costs.memory(base, empty, named("h100")) == pytest.approx(18e9 / 2**30)
    assert costs.memory(base, replace(empty, precision="auto"), named("cpu")) == pytest.approx(16e9 / 2**30)
    assert costs.memory(base, empty, named("h100", count=4)) == pytest.approx(4.5e9 / 2**30)


def test_what_does_not_fit_is_refused_with_the_ways_out():
    """18 bytes a weight are 134.6 GiB; 4,096 tokens of 60 x width x layers, 9.07 MB each, are 34.6."""
    device = named("a6000")
    cost = costs.training(costs.shape(8.03), LOAD, device)
    said = r"llama3 \(169 GiB\) does not fit a6000, which has 48 GiB .* give training=lora .*fsdp"
    with pytest.raises(SelectionError, match=said):
        costs.check_fits("llama3", cost, device)
    small, other = costs.training(costs.shape(0.1), LOAD, device), replace(cost, memory_gib=99)
    told = costs.too_large({"llama3": cost, "small": small, "other": other}, device)
    assert told.startswith("2 of 3 do not fit a6000, which has 48 GiB")
    assert "other (99 GiB), llama3 (169 GiB); give" in told, "the one that comes nearest first"
    assert costs.too_large({"small": small}, device) == ""
    taken = replace(LOAD, lora_rank=16, checkpointing=True, precision="bf16_weights")
    assert costs.too_large({"llama3": cost}, device, taken).endswith(
        "free; give a larger device=, or hardware=fsdp over several"
    )
    adapters = replace(LOAD, lora_rank=16, checkpointing=True, precision="bf16_weights")
    costs.check_fits("llama3", costs.training(costs.shape(8.03), adapters, device), device)
    costs.check_fits("llama3", cost, replace(device, memory_gib=None))


def test_a_tenth_of_the_memory_is_left_free_as_in_training():
    from rm_selection import memory

    assert costs.SPARE == memory.SPARE
    assert costs.fits(Cost(1, 43.2, ""), Device("x", 48, 1))
    assert not costs.fits(Cost(1, 43.3, ""), Device("x", 48, 1))


def test_the_folder_of_a_checkpoint_tells_its_shape(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 64, "num_hidden_layers": 3}))
    assert costs.shape(0.5, tmp_path) == Shape(0.5, 64, 3)
    assert costs.shape(0.5, tmp_path / "absent") == costs.shape(0.5)


@pytest.mark.parametrize(
    ("params_b", "hidden"),
    [(0.49, 896), (1.54, 1536), (3.09, 2048), (7.62, 3584), (1.24, 2048), (3.21, 3072), (6.74, 4096), (13.0, 5120)],
)
def test_the_usual_width_is_within_30_percent_of_published_ones(params_b, hidden):
    """Qwen 2.5 0.5B, 1.5B, 3B and 7B, Llama 3.2 1B and 3B, Llama 2 7B and 13B."""
    assert costs.shape(params_b).hidden == pytest.approx(hidden, rel=0.32)


def test_finished_cells_on_such_a_device_know_better():
    cell = Cell(Path("x"), "waiting", "train", "b", "regression", params_b=4.0)
    done = replace(cell, state=DONE, base="a", params_b=2.0, seconds=7200.0, device="NVIDIA RTX A6000")
    slow = replace(done, seconds=1e6, device="cpu")
    known = costs.on_device([done, slow, cell], named("a6000"))
    found = costs.refined(Cost(99, 1, "model"), cell, known)
    assert (found.hours, found.basis) == (4, "finished cells of the base nearest in size")
    assert costs.refined(Cost(99, 1, "model"), cell, Known([])) == Cost(99, 1, "model")


def test_a_device_has_a_short_name_and_the_one_that_torch_gives_it():
    assert named("NVIDIA H100 80GB HBM3") == named("H100") == Device("h100", 80, 989)
    with pytest.raises(SelectionError, match="device=v100 is not known; give h200 or h100"):
        named("v100")


def test_the_gpu_of_this_machine_is_the_one_nvidia_smi_shows(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA L40S'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert costs.here().name == "l40s"
    tool.write_text("#!/bin/sh\necho no devices >&2; exit 9\n")
    assert costs.here().name == "cpu"
    monkeypatch.setenv("PATH", "")
    assert costs.here().name == "cpu"


def test_every_row_says_where_it_is_from_and_names_what_there_is():
    from rm_selection.config import CONF

    assert all(row.source for table in (cost_tables.devices(), cost_tables.sizes()) for row in table)
    for row in cost_tables.sizes():
        group = "evaluation" if row.part == "evaluation" else "dataset"
        assert (CONF / group / f"{row.data}.yaml").is_file()
        assert (CONF / "lengths" / f"{row.lengths}.yaml").is_file()
    names = [row.name for row in cost_tables.devices()]
    assert len(set(names)) == len(names)
    assert {row.device for row in cost_tables.throughput()} <= set(names)


def test_the_model_needs_no_torch():
    words = "import sys; from rm_selection import costs, loads; print({'torch', 'pandas', 'scipy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, text=True).stdout
    assert found.strip() == "set()"
