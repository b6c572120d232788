"""What each candidate's probe and training cost, hours and memory, by the cost model and what this study has told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rm_selection import costs, loads
from rm_selection.budget_settings import BudgetConfig
from rm_selection.candidates import Candidate
from rm_selection.costs import Cost, Device, Load
from rm_selection.next_runs import STOPS, Prices
from rm_selection.standing import Took

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Priced:
    """Candidates that fit the device, with their prices; too_large: of those that do not, a sentence or ""."""

    candidates: list[Candidate]
    prices: Prices
    too_large: str
    basis: str


def priced(settings: BudgetConfig, chosen: Sequence[Candidate]) -> Priced:
    """Sort out what cannot fit, and price the rest.

    Raises:
        SelectionError: nothing fits, or the device is not known.
        ConfigError: nothing tells how much the data hold.
    """
    device = costs.here() if settings.device is None else costs.named(settings.device)
    load = loads.of(settings)
    needs = [costs.training(_shape(one), load, device) for one in chosen]
    fitting = [i for i, cost in enumerate(needs) if costs.fits(cost, device)]
    if not fitting:
        least = min(range(len(needs)), key=lambda i: needs[i].memory_gib)
        costs.check_fits(chosen[least].name, needs[least], device, load)  # raises, with the ways out
    large = costs.too_large({one.name: cost for one, cost in zip(chosen, needs, strict=True)}, device, load)
    left = [chosen[i] for i in fitting]
    return Priced(left, _prices(left, load, device), f"Left out: {large}." if large else "", needs[fitting[0]].basis)


def _shape(one: Candidate) -> costs.Shape:
    folder = Path(one.base.folder) / one.stage if one.base.folder else None
    return costs.shape(one.base.params_b or 7.0, folder)


def _prices(chosen: Sequence[Candidate], load: Load, device: Device) -> Prices:
    shapes = [_shape(one) for one in chosen]

    def hours(cost: Callable[[costs.Shape, Load, Device], Cost], until: float = 1.0) -> Array:
        return np.array([cost(shape, replace(load, until=until), device).hours for shape in shapes])

    training = {name: hours(costs.training, share) for name, share in STOPS.items()}
    return Prices(hours(costs.probe), training, hours(costs.scoring))


def corrected(prices: Prices, took: Took) -> Prices:
    """The prices times what this study's work took over what the cost model says of it; as they are before any."""
    trained = _ratio([(hours, prices.training[stop][i] + prices.scoring[i]) for i, stop, hours in took.trained])
    probed = _ratio([(hours, prices.probe[i]) for i, hours in took.probed])
    training = {name: hours * trained for name, hours in prices.training.items()}
    return Prices(prices.probe * probed, training, prices.scoring * trained)


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    return sum(one for one, _ in pairs) / sum(two for _, two in pairs) if pairs else 1.0
