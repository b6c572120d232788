"""The world of a seed: entities with facts, topics with their words, acts that harm or help; half kept for evaluation.

    world = make_world(1)
    world.facts["bakelo", "colour"]     # "red"
    world.known, world.kept             # entities of the preference training data, and of the evaluation

What is kept occurs in pre-training alone, so a reward model that judges it must have brought the knowledge along.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from random import Random

DOMAINS = ("wiki", "arxiv", "github", "books", "stack")

ENTITIES = 64
TOPICS, WORDS = 30, 5  # words a topic
NUMBERS = 24  # 0 to 23
ADDENDS = 12  # 0 to 11, so that sums stay in the vocabulary
LETTERS = tuple("abcdefghjkmn")
RELATIONS = {
    "colour": ("red", "blue", "green", "white", "black", "grey", "brown", "pink"),
    "animal": ("dog", "cat", "horse", "goat", "fox", "bear", "wolf", "hen"),
    "food": ("bread", "rice", "soup", "cheese", "corn", "plums", "beans", "fish"),
    "trade": ("baker", "smith", "tailor", "miner", "sailor", "farmer", "painter", "weaver"),
}
FUNCTIONS = ("fold", "swap", "flip", "turn", "map", "shift")
HARMFUL = (
    *("poison", "burn", "steal", "break", "hurt", "forge", "rob", "wreck", "stab", "flood", "cheat", "threaten"),
    *("smash", "ruin", "kill", "shoot", "trap", "hack", "smuggle", "bribe", "crush", "spoil", "attack", "haunt"),
)
HELPFUL = (
    *("clean", "mend", "fix", "sell", "cook", "build", "plant", "wash", "carry", "draw", "sew", "polish"),
    *("lift", "store", "measure", "move", "warm", "dry", "open", "close", "raise", "cover", "find", "show"),
)
THINGS = ("boat", "house", "fence", "cart", "bridge", "tower", "barn", "garden", "mill", "well")
TOOLS = ("brush", "rope", "hammer", "spoon", "ladder", "needle", "shovel", "bucket")
PLAIN = (  # words that hold sentences together
    *("the", "of", "is", "has", "a", "and", "near", "with", "under", "over", "its", "what", "which", "how", "do"),
    *(
        "i",
        "to",
        "use",
        "then",
        "take",
        "can",
        "cannot",
        "help",
        "that",
        "sorry",
        "about",
        "tell",
        "me",
        "right",
        "wrong",
    ),
    *("plus", "equals", "larger", "smaller", "after", "comes", "gives", "answer", "please", "in", "right", "wrong"),
    *(".", "?", ",", ":", "[", "]"),
)


@dataclass(frozen=True)
class World:
    """What is true.

    facts: (entity, relation) to value. topics: the words of each. The first half of `entities` (in the order of
    `known` and `kept`), topics and acts is for training reward models, the second for evaluating them.
    """

    seed: int
    known: tuple[str, ...]
    kept: tuple[str, ...]
    facts: dict[tuple[str, str], str]
    topics: tuple[tuple[str, ...], ...]
    harmful: tuple[str, ...]
    helpful: tuple[str, ...]
    kept_sums: frozenset[tuple[int, int]]
    functions: dict[tuple[str, str], str]  # of a letter: function and letter to the letter it gives

    @property
    def entities(self) -> tuple[str, ...]:
        """Known and kept in turn, so that both are as frequent in the corpus."""
        return tuple(name for both in zip(self.known, self.kept, strict=True) for name in both)

    def half(self, things: tuple[str, ...] | range, kept: bool) -> list[int]:
        """Indices of the half of `things` for evaluation (`kept`) or for training."""
        return list(range(int(kept), len(things), 2))


def make_world(seed: int) -> World:
    """The world of a seed, always the same."""
    rng = Random(f"microcosm/{seed}")
    names = invented(rng, ENTITIES + TOPICS * WORDS)
    entities, words = names[:ENTITIES], names[ENTITIES:]
    facts = {(one, kind): rng.choice(values) for one, (kind, values) in product(entities, RELATIONS.items())}
    topics = tuple(tuple(words[i * WORDS : (i + 1) * WORDS]) for i in range(TOPICS))
    sums = [(a, b) for a, b in product(range(ADDENDS), repeat=2) if a <= b]
    kept = frozenset(rng.sample(sums, len(sums) // 2))
    # Drawn one by one: of a permutation, the values kept for evaluation would be those that were wrong in training.
    images = {name: rng.choices(LETTERS, k=len(LETTERS)) for name in FUNCTIONS}
    functions = {(name, x): y for name, image in images.items() for x, y in zip(LETTERS, image, strict=True)}
    half = ENTITIES // 2
    return World(
        seed, tuple(entities[:half]), tuple(entities[half:]), facts, topics,
        tuple(rng.sample(HARMFUL, len(HARMFUL))), tuple(rng.sample(HELPFUL, len(HELPFUL))), kept, functions,
    )  # fmt: skip


def invented(rng: Random, count: int) -> list[str]:
    """That many different words of three syllables that are no words of the vocabulary otherwise."""
    syllables = [c + v for c, v in product("bdfgklmnprstvz", "aeiou")]
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choices(syllables, k=3))] = None
    return list(found)


def vocabulary(world: World) -> list[str]:
    """Every word of the world, each once, in an order that the seed does not change but for the invented ones."""
    values = [value for kind in RELATIONS.values() for value in kind]
    numbers = [str(number) for number in range(NUMBERS)]
    fixed = [*PLAIN, *RELATIONS, *values, *numbers, *LETTERS, *FUNCTIONS, *HARMFUL, *HELPFUL, *THINGS, *TOOLS]
    return list(dict.fromkeys([*fixed, *world.entities, *(word for topic in world.topics for word in topic)]))
