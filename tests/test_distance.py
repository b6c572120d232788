"""Jensen-Shannon distances against their definition, their bounds, and what chance makes of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import rc_context
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from rm_selection import plots
from rm_selection.analysis.distance import bin_edges, by_chance, jensen_shannon, table
from rm_selection.errors import FitError
from rm_selection.plot_style import RC
from rm_selection.plots_distances import distances

RNG = np.random.default_rng(0)
samples = st.lists(st.floats(-20, 0), min_size=2, max_size=60)


@settings(max_examples=60, deadline=None)
@given(samples, samples)
def test_it_is_the_root_of_the_mean_divergence_from_the_middle(first, second):
    edges = bin_edges(first, second)
    p, q = (np.histogram(sample, edges)[0] / len(sample) for sample in (first, second))
    middle = (p + q) / 2
    expected = np.sqrt(max(0, entropy(p, middle, base=2) + entropy(q, middle, base=2)) / 2)
    assert jensen_shannon(first, second) == pytest.approx(expected, abs=1e-7)
    assert jensen_shannon(first, second) == pytest.approx(jensenshannon(p, q, base=2), abs=1e-12)
    assert jensen_shannon(first, second) == pytest.approx(jensen_shannon(second, first))
    assert 0 <= jensen_shannon(first, second) <= 1 + 1e-12


def test_the_same_scores_are_at_zero_and_separate_ones_at_one():
    scores = RNG.normal(-2, 1, 300)
    assert jensen_shannon(scores, scores) == 0
    assert jensen_shannon(scores, scores - 50) == pytest.approx(1)
    assert jensen_shannon([-1.0] * 5, [-1.0] * 5) == 0


def test_a_change_of_scale_and_an_absurd_document_change_little():
    first, second = RNG.normal(-2, 1, 300), RNG.normal(-3, 1, 300)
    assert jensen_shannon(7 * first - 1, 7 * second - 1) == pytest.approx(jensen_shannon(first, second))
    assert jensen_shannon([*first, -1e6], [*second, -2.0]) == pytest.approx(jensen_shannon(first, second), abs=0.02)


def test_what_chance_makes_is_what_equal_samples_show():
    drawn = [jensen_shannon(RNG.normal(size=400), RNG.normal(size=400)) ** 2 for _ in range(200)]
    assert np.sqrt(np.mean(drawn)) == pytest.approx(by_chance(400), rel=0.05)


@pytest.mark.parametrize(("bad", "said"), [([], "has none"), ([np.nan, 1.0], "has 1 that are not")])
def test_a_side_without_finite_scores_is_refused(bad, said):
    with pytest.raises(FitError, match=said):
        jensen_shannon([1.0, 2.0], bad)


def scored(shift, count=60, domains=("arxiv", "books"), start=0):
    rows = [(f"{i}", domain, 10, -20 + shift + i % 7) for domain in domains for i in range(start, start + count)]
    return pd.DataFrame(rows, columns=["id", "domain", "bytes", "log_p"])


def test_a_table_has_every_pair_in_every_domain_over_common_documents():
    found = table({"a": scored(0), "b": scored(3, start=20), "c": scored(0)})
    assert list(zip(found["first"], found["second"], found["domain"], found["n"], strict=True)) == [
        *(("a", "b", domain, 40) for domain in ("arxiv", "books")),
        *(("a", "c", domain, 60) for domain in ("arxiv", "books")),
        *(("b", "c", domain, 40) for domain in ("arxiv", "books")),
    ]
    assert found["distance"][2] == 0 < found["distance"][0]


def test_a_pair_without_enough_documents_in_common_has_no_row():
    found = table({"a": scored(0), "b": scored(1, domains=["arxiv"]), "c": scored(1, start=50)})
    assert list(zip(found["first"], found["second"], found["domain"], strict=True)) == [("a", "b", "arxiv")]


def test_nothing_in_common_or_a_single_model_is_refused():
    with pytest.raises(FitError, match="distances need two models or more, and 1 has presence scores"):
        table({"a": scored(0)})
    with pytest.raises(FitError, match="no two models share 20 documents of a domain; measure them on the same"):
        table({"a": scored(0), "b": scored(0, start=500)})


def test_the_matrix_names_every_model_and_writes_hundredths(tmp_path):
    frame = table({"a/one": scored(0), "a/two": scored(3), "three": scored(0)})
    with rc_context(RC):
        plots.save({"distances": distances(frame), "books": distances(frame, "books")}, tmp_path)
    shown = (tmp_path / "distances.svg").read_text()
    mean = frame[(frame["first"] == "a/one") & (frame["second"] == "a/two")]["distance"].mean()
    assert all(f">{name}<" in shown for name in ("one", "two", "three", f"{100 * mean:.0f}"))
    assert "(books)" in (tmp_path / "books.svg").read_text()
    assert distances(frame, "law") is None


def test_a_missing_pair_is_a_dash(tmp_path):
    frame = table({"a": scored(0), "b": scored(1, domains=["arxiv"]), "c": scored(1, domains=["books"])})
    with rc_context(RC):
        plots.save({"distances": distances(frame)}, tmp_path)
    assert (tmp_path / "distances.svg").read_text().count(">\u2013<") == 2
