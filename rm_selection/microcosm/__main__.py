"""Make the small world: its texts, its preference data, its benchmarks and its bases; what is whole is kept.

python -m rm_selection.microcosm microcosm.seed=2
"""

from rm_selection.config import entry_point
from rm_selection.microcosm_settings import BuildConfig


@entry_point("microcosm", BuildConfig)
def main(settings: BuildConfig) -> None:
    """Make a small world whose truth is known: bases, preference data and benchmarks; what is whole is kept."""
    import time

    from rm_selection import console
    from rm_selection.microcosm import files, zoo
    from rm_selection.microcosm.world import make_world

    began, made = time.monotonic(), settings.microcosm
    total, new = len(zoo.wanted(made)), 0
    files.write(made, make_world(made.seed))
    for done, (name, fresh) in enumerate(zoo.build(made, settings.jobs), 1):
        new += fresh
        if fresh:
            left = zoo.remaining(new, new + total - done, began)
            console.line(f"{done}/{total} {name}, about {left:.0f} s left")
    seconds = time.monotonic() - began
    console.line(f"world {made.seed}: {new} of {total} bases built, the others kept, in {seconds:.0f} s: {made.folder}")


if __name__ == "__main__":
    main()
