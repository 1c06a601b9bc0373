"""pmf.png: free energy over the variables, with the states."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from refine.sampling.exploration import Sampled
from refine.sampling.profile import Profile
from refine.sampling.variables import Variable

_STATE = "#b3362b"


def write_picture(found: Profile, run: Sampled, variables: Sequence[Variable], path: Path) -> None:
    """Draw every grid side by side; raises OSError where the file cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(found.grids) + 0.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    panels = np.atleast_1d(figure.subplots(1, len(found.grids)))
    for panel, grid in zip(panels, found.grids, strict=True):
        own = [variables[k] for k in grid.variables]
        axes = [v.shown(points) for v, points in zip(own, grid.axes, strict=True)]
        at = [[float(v.shown(run.q[s.frame, k])) for v, k in zip(own, grid.variables, strict=True)]
              for s in found.states]  # fmt: skip
        if len(own) == 2:
            drawn = panel.pcolormesh(*axes, grid.learned.T, shading="nearest", cmap="viridis")
            figure.colorbar(drawn, ax=panel, label="free energy (kcal/mol)")
            panel.set_ylabel(f"{own[1].name} ({own[1].unit})")
            for k, (x, y) in enumerate(at, start=1):
                panel.annotate(str(k), (x, y), color="white", weight="bold", ha="center", va="center",
                               bbox={"boxstyle": "circle", "color": _STATE})  # fmt: skip
        else:
            panel.fill_between(axes[0], grid.learned - grid.spread, grid.learned + grid.spread, alpha=0.3)
            panel.plot(axes[0], grid.learned, label="learned")
            panel.plot(axes[0], grid.weighted, "o", markersize=3, label="reweighted")
            panel.set_ylabel("free energy (kcal/mol)")
            panel.legend(frameon=False)
            for k, (x,) in enumerate(at, start=1):
                panel.axvline(x, color=_STATE, linewidth=0.8)
                panel.text(x, panel.get_ylim()[1], str(k), color=_STATE, ha="center", va="bottom")
        panel.set_xlabel(f"{own[0].name} ({own[0].unit})")
    figure.savefig(path, dpi=130, format="png", metadata={"Software": None})
