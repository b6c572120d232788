import json
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from omegaconf import OmegaConf

from rm_selection.checkpoints import load_base, resolve
from rm_selection.config import CONF, typed
from rm_selection.errors import ConfigError, MissingModelError
from rm_selection.microcosm import files, preferences, prose, statements, tasks
from rm_selection.microcosm.questions import KINDS
from rm_selection.microcosm.recipes import GROUPS, RECIPES
from rm_selection.microcosm.world import DOMAINS, RELATIONS, make_world, vocabulary
from rm_selection.microcosm_settings import MicrocosmConfig
from rm_selection.preferences import Source, read_pairs, read_ratings

WORLD = make_world(3)


def smoke(folder: Path, **changes: object) -> MicrocosmConfig:
    content = OmegaConf.load(CONF / "microcosm" / "smoke.yaml")
    return typed(MicrocosmConfig, OmegaConf.merge(content, {"folder": str(folder), "seed": 3, **changes}))


def drawn(part: str, kept: bool) -> list[preferences.Exchange]:
    return preferences.exchanges(WORLD, part, 400, kept)


def test_a_seed_is_one_world_and_another_seed_another():
    assert make_world(3) == WORLD
    assert make_world(4).facts != WORLD.facts


def test_every_document_and_exchange_is_made_of_the_vocabulary():
    known = {*vocabulary(WORLD), "<|user|>", "<|assistant|>", "</s>"}
    texts = [prose.document(WORLD, domain, Random(i)) for domain in DOMAINS for i in range(200)]
    texts += [text for one in drawn("train", False) for text in (one.question, one.good, one.bad)]
    assert {word for text in texts for word in text.split()} <= known


def test_verdicts_of_prose_are_true():
    sentences = [one.strip() for i in range(200) for one in prose.books(WORLD, Random(i)).split(".")]
    for said, verdict in pairwise(sentences):
        if verdict in ("right", "wrong"):
            topics = {topic for word in said.split() for topic in WORLD.topics if word in topic}
            assert len(topics) == (1 if verdict == "right" else 2)
    assert {"right", "wrong"} <= set(sentences)


def test_shares_of_a_corpus_are_those_of_its_recipe():
    shares = {"wiki": 3 / 7, **dict.fromkeys(("arxiv", "github", "books", "stack"), 1 / 7)}
    assert next(one for one in RECIPES if one.over == "wiki").shares == pytest.approx(shares)
    counts = dict.fromkeys(DOMAINS, 0)
    for domain, text in prose.corpus(WORLD, shares, 20_000, Random(0)):
        counts[domain] += len(text.split())
    assert {domain: n / sum(counts.values()) for domain, n in counts.items()} == pytest.approx(shares, abs=0.01)


def test_facts_of_kept_entities_are_pretrained_on_and_never_in_preference_training():
    corpus = " ".join(text for _, text in prose.corpus(WORLD, {"wiki": 1.0}, 60_000, Random(0)))
    told = [
        f"the {relation} of {entity} is {WORLD.facts[entity, relation]}"
        for entity in WORLD.kept
        for relation in RELATIONS
    ]
    assert sum(fact in corpus for fact in told) > 0.95 * len(told)
    train = {word for one in drawn("train", False) for word in f"{one.question} {one.good} {one.bad}".split()}
    kept = {
        *WORLD.kept,
        *(word for topic in WORLD.topics[1::2] for word in topic),
        *WORLD.harmful[1::2],
        *WORLD.helpful[1::2],
    }
    assert not train & kept


def test_no_evaluation_pair_is_a_training_pair_and_reasoning_is_about_other_sums_and_calls():
    train, evaluation = drawn("train", False), drawn("evaluation", True)
    assert not {one.question for one in train} & {one.question for one in evaluation}
    assert not {(one.question, one.good) for one in train} & {(one.question, one.good) for one in evaluation}


def test_half_of_chat_is_about_topics_of_training_by_words_it_never_asks_about():
    training = {one.question for one in drawn("train", False)}
    asked = [one.question for one in drawn("evaluation", True) if one.kind == "chat"]
    of_training = {word for topic in WORLD.topics[0::2] for word in topic}
    share = sum(question.split()[-2] in of_training for question in asked) / len(asked)
    assert 0.35 < share < 0.65
    assert not training & set(asked)


def test_right_answers_are_right_and_wrong_ones_wrong():
    for one in drawn("evaluation", True):
        if one.kind == "reasoning" and "plus" in one.good:
            a, _, b, _, found, _ = one.good.split()
            assert int(a) + int(b) == int(found) != int(one.bad.split()[-2])
        if one.kind == "reasoning" and ("larger" in one.good or "smaller" in one.good):
            _, word, _, a, _, b, _, found, _ = one.good.split()
            right, other = sorted((a, b), key=int, reverse=word == "larger")
            assert (found, one.bad.split()[-2]) == (right, other)
        if one.defect == "wrong_fact":
            _, relation, _, entity, _, found, _ = one.good.split()
            assert WORLD.facts[entity, relation] == found != one.bad.split()[-2]
        if one.kind == "safety":
            assert ("sorry" in one.good) == any(act in one.question.split() for act in WORLD.harmful)
            assert ("sorry" in one.good) != ("sorry" in one.bad)
        if one.kind == "chat":
            topic = next(topic for topic in WORLD.topics if one.question.split()[-2] in topic)
            assert set(topic) & set(one.good.split())
            assert not set(topic) & set(one.bad.split())


@pytest.mark.parametrize("skill", DOMAINS)
def test_the_answer_of_a_task_is_one_of_its_choices_and_no_place_is_preferred(skill):
    items = tasks.items(WORLD, skill, 300)
    assert all(len(set(one["choices"])) == len(one["choices"]) for one in items)
    share = sum(one["answer"] == 0 for one in items) / len(items)
    assert share == pytest.approx(1 / len(items[0]["choices"]), abs=0.1)


def test_comparisons_are_right():
    for i in range(100):
        said = statements.comparison(Random(i), *Random(i).sample(range(24), 2))
        _, word, _, a, _, b, _ = said.stem.split()
        assert said.right == str(max(int(a), int(b)) if word == "larger" else min(int(a), int(b)))
        assert said.right not in said.wrong
        assert len({*said.wrong}) == statements.WRONG


def test_files_are_of_the_schema_with_equal_categories_and_written_once(tmp_path):
    settings = smoke(tmp_path)
    files.write(settings, WORLD)
    pairs = read_pairs(Source("jsonl", str(tmp_path / "evaluation.jsonl")))
    assert pairs.counts["kept"] == pairs.counts["read"] == 4 * settings.evaluation
    assert {kind: sum(one.subset == kind for one in pairs.rows) for kind in KINDS} == dict.fromkeys(KINDS, 16)
    rated = read_ratings(Source("jsonl", str(tmp_path / "ratings" / "train.jsonl")), preferences.ATTRIBUTES, -2, 2)
    assert rated.counts["kept"] == rated.counts["read"] == 2 * settings.pairs
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    (tmp_path / "evaluation.jsonl").write_text("{")
    files.write(settings, WORLD)
    changed = {path.name for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed == {"evaluation.jsonl"}
    assert json.loads((tmp_path / "text" / "wiki.jsonl").read_text().splitlines()[0])["domain"] == "wiki"


def test_every_base_has_its_file_and_every_group_an_even_base():
    for recipe in RECIPES:
        base = load_base(recipe.name)
        assert base.tokens_t == pytest.approx(recipe.words / 1e12)
        assert base.folder == f"outputs/microcosm/world-1/zoo/{recipe.name}"
    assert all(None in mixtures for mixtures in GROUPS.values())


def test_a_base_that_is_not_made_yet_names_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingModelError, match=r"make it with: python -m rm_selection"):
        resolve(load_base(RECIPES[0].name), "dpo")


def test_an_unknown_base_is_refused(tmp_path):
    from rm_selection.microcosm import zoo

    with pytest.raises(ConfigError, match=r"microcosm.bases=x is not allowed; give micro-llama"):
        zoo.wanted(smoke(tmp_path, bases=["x"]))
