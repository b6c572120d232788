"""Presence scores of every checkpoint by domain -> a matrix figure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rm_selection.plot_style import ROW, canvas, cells, short_names

PREFIX, SUFFIX = "presence.", "_per_byte"  # what compares across vocabularies


def presence(tables: Mapping[str, pd.DataFrame]) -> Figure | None:
    """Mean log p a byte of every checkpoint on the documents of each domain; None where presence was not measured."""
    frame = tables["features"]
    columns = [str(name) for name in frame if str(name).startswith(PREFIX) and str(name).endswith(SUFFIX)]
    known = frame.dropna(subset=columns, how="all") if columns else frame.iloc[:0]
    if known.empty:
        return None
    values = known[columns].to_numpy(float)
    ordered = np.argsort(-np.nanmean(values, axis=1), kind="stable")
    names = short_names([str(known["model"].iloc[place]) for place in ordered])
    domains = [name.removeprefix(PREFIX).removesuffix(SUFFIX) for name in columns]
    figure, [panel] = canvas("Presence scores: log p a byte of the documents of a domain", len(names) * ROW * 1.1 + 1.2)
    cells(panel, values[ordered], ("YlGnBu", np.nanmin(values), np.nanmax(values)), "{:.2f}")
    panel.set_yticks(range(len(names)), names)
    panel.set_xticks(range(len(domains)), domains)
    panel.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    panel.set_xlabel("nats a byte; nearer to 0 (darker): the text is less of a surprise", fontsize=8, loc="right")
    return figure
