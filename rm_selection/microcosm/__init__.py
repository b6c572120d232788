"""A small world whose truth is known: text domains, tiny base models, preference data, benchmarks; see README of
experiments/microcosm.

    python -m rm_selection.microcosm            # outputs/microcosm/world-1
    python -m rm_selection.microcosm microcosm.seed=2

`world` and what is named by nouns of text (`prose`, `questions`, `preferences`, `tasks`) is plain Python; only
`tokens`, `shapes`, `pretraining` and `zoo` need torch. Everything follows from the seed.
"""
