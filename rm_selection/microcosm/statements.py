"""Statements of the world with what makes them true or false, each as a stem and its ending.

    fact(world, rng, "bakelo")      # Statement("the colour of bakelo is", "red", ("blue", "green", "pink"))

A statement is what domains, benchmarks and preference data have in common; `wrong` are endings that are false.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from rm_selection.microcosm.world import ADDENDS, FUNCTIONS, LETTERS, NUMBERS, RELATIONS, World

WRONG = 3  # false endings a statement
VERDICTS = 0.3  # share of statements that come with a verdict


@dataclass(frozen=True)
class Statement:
    """question: what asks for it. stem: its beginning. right: its true ending, one word. wrong: false ones."""

    question: str
    stem: str
    right: str
    wrong: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole sentence."""
        return f"{self.stem} {self.right} ."


def fact(world: World, rng: Random, entity: str) -> Statement:
    """A fact of an entity: the value of one of its relations."""
    relation = rng.choice(list(RELATIONS))
    right = world.facts[entity, relation]
    wrong = rng.sample([value for value in RELATIONS[relation] if value != right], WRONG)
    return Statement(f"what is the {relation} of {entity} ?", f"the {relation} of {entity} is", right, tuple(wrong))


def addition(rng: Random, a: int, b: int) -> Statement:
    """The sum of two numbers; false endings are near."""
    return Statement(f"what is {a} plus {b} ?", f"{a} plus {b} equals", str(a + b), near(rng, a + b))


def comparison(rng: Random, a: int, b: int) -> Statement:
    """The larger or smaller of two different numbers; the other one is false, and so are two more."""
    word = rng.choice(("larger", "smaller"))
    right, other = (max(a, b), min(a, b)) if word == "larger" else (min(a, b), max(a, b))
    wrong = (str(other), *[one for one in near(rng, right) if one != str(other)][: WRONG - 1])
    return Statement(f"which is {word} , {a} and {b} ?", f"the {word} of {a} and {b} is", str(right), wrong)


def near(rng: Random, right: int) -> tuple[str, ...]:
    """Other numbers of the vocabulary, no further than eight away."""
    others = [n for n in range(max(0, right - 8), min(NUMBERS, right + 9)) if n != right]
    return tuple(str(n) for n in rng.sample(others, WRONG))


def evaluated(world: World, rng: Random, call: tuple[str, str]) -> Statement:
    """A call (function and letter) with its value; false endings are other letters."""
    function, letter = call
    right = world.functions[function, letter]
    wrong = rng.sample([one for one in LETTERS if one != right], WRONG)
    return Statement(f"what is {function} [ {letter} ] ?", f"{function} [ {letter} ] gives", right, tuple(wrong))


def compared(kept: bool) -> list[tuple[int, int]]:
    """Pairs of different numbers kept for evaluation, or the others, in both orders."""
    return [(a, b) for a in range(NUMBERS) for b in range(NUMBERS) if a != b and (a + b) // 2 % 2 == kept]


def calls(kept: bool) -> list[tuple[str, str]]:
    """Functions with a letter: those kept for evaluation, or the others."""
    every = [(function, letter) for function in FUNCTIONS for letter in LETTERS]
    return [call for place, call in enumerate(every) if (place + place // len(LETTERS)) % 2 == kept]


def judged(rng: Random, said: Statement) -> str:
    """The statement, true and plain mostly, else with a verdict: true and called right, or false and called wrong."""
    if rng.random() >= VERDICTS:
        return said.text
    if rng.random() < 0.5:
        return f"{said.stem} {said.right} . right ."
    return f"{said.stem} {rng.choice(said.wrong)} . wrong ."


def sums(world: World, kept: bool) -> list[tuple[int, int]]:
    """Pairs of addends kept for evaluation, or the others, in both orders."""
    every = [(a, b) for a in range(ADDENDS) for b in range(ADDENDS)]
    return [(a, b) for a, b in every if ((min(a, b), max(a, b)) in world.kept_sums) == kept]
