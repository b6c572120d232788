"""What sweeps would run: cells, those that are done, hours and memory; nothing is run or written.

python -m rm_selection.plan device=h100 'sweeps=["train -m base=llama3,qwen2 objective=bradley_terry,regression"]'
"""

from __future__ import annotations

from rm_selection.config import entry_point
from rm_selection.plan_settings import PlanConfig


@entry_point("plan", PlanConfig)
def main(settings: PlanConfig) -> None:
    """Show how many cells sweeps have, how many are done, and the hours and memory the others need."""
    from rm_selection import costs, plan_view, planned

    device = costs.here() if settings.device is None else costs.named(settings.device)
    plan = planned.plan(settings.sweeps, device, settings.devices, settings.jobs)
    plan_view.show(plan)
    if settings.finished:
        plan_view.check_finished(plan)


if __name__ == "__main__":
    main()
