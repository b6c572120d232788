"""Where a response begins, for tokenizers of every kind, and which rows a base can read."""

import pytest
import tiny_tokenizers
from tiny_models import chat, pairs, ratings, tokenizer

from rm_selection.errors import DataError
from rm_selection.features.responses import readable
from rm_selection.preferences import Pair
from rm_selection.templates import prepare_tokenizer, template

FAMILIES = tiny_tokenizers.FAMILIES


def made(family: str):
    """The template of a family, over a tokenizer of bytes that joins a few letters."""
    chat_template, named, adds_bos, _ = FAMILIES[family]
    own = tiny_tokenizers.tokenizer(chat_template, named, adds_bos, merges=(("e", "s"), ("Ġ", "y"), ("n", "o")))
    prepare_tokenizer(own)
    return template(own)


def pair(chosen: str, rejected: str, question: str = "Well?") -> Pair:
    prompt, good = chat(question, chosen)
    return Pair((prompt,), (good,), ({"role": "assistant", "content": rejected},), None, None, "1")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("chosen", "rejected"), [("yes, it is", "no"), ("yes, it is", "yesterday"), ("1, élan", "1")])
def test_a_response_begins_at_its_first_letter_and_ends_the_conversation(family, chosen, rejected):
    chat_template = made(family)
    row = pair(chosen, rejected)
    ((one, two),) = readable([row], chat_template, 1000).responses
    for found, content, whole in zip((one, two), (chosen, rejected), row.conversations, strict=True):
        assert list(found.ids) == chat_template.ids(whole)
        tail = chat_template.tokenizer.decode(found.ids[found.start :], skip_special_tokens=False)
        assert tail.lstrip().startswith(content)
    assert one.start == two.start


@pytest.mark.parametrize("letters", [("é", "è"), ("日", "本")])
def test_letters_that_share_a_byte_are_told_apart(letters):
    ((one, two),) = readable([pair(*letters)], made("qwen2"), 1000).responses
    assert one.start == two.start
    assert made("qwen2").tokenizer.decode(one.ids[one.start :]).startswith(letters[0])


def test_a_rating_has_one_response():
    own = tokenizer()
    prepare_tokenizer(own)
    found = readable(ratings(3), template(own), 1000)
    assert [len(one) for one in found.responses] == [1, 1, 1]
    assert own.decode(found.responses[0][0].ids[found.responses[0][0].start :]).startswith("yes")


def test_rows_too_long_or_equal_as_tokens_are_left_out_and_counted():
    own = tokenizer()
    prepare_tokenizer(own)
    rows = [*pairs(3), pair("a" * 200, "b"), pair("日", "本")]  # neither sign is in the vocabulary
    found = readable(rows, template(own), 100)
    assert found.rows == rows[:3]
    assert found.counts == {
        "read": 5,
        "kept": 3,
        "dropped_not_renderable": 0,
        "dropped_over_long": 1,
        "dropped_equal_tokens": 1,
    }


def test_no_row_left_is_refused():
    own = tokenizer()
    prepare_tokenizer(own)
    with pytest.raises(DataError, match="reads none of 3 rows whole \\(3 dropped_over_long, 8 tokens\\)"):
        readable(pairs(3), template(own), 8)
