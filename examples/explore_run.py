"""What a run gives, from Python: its models, tables and distance distributions, and figures of them.

    python examples/explore_run.py examples/1a8o_model.pdb example_python

refines the model (about a minute) and writes five figures into the run folder. With the folder of a finished run in
place of the model, nothing is computed anew:

    python examples/explore_run.py example_python
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from refine import RunResult, RunSettings, read_run, read_settings, refine_file
from refine.report import plots


def main(arguments: list[str]) -> None:
    """``RUN``, or ``MODEL OUT [SETTINGS.toml]``."""
    if len(arguments) == 1:
        result = read_run(Path(arguments[0]))
    else:
        settings = read_settings(Path(arguments[2])) if len(arguments) > 2 else RunSettings()
        result = refine_file(Path(arguments[0]), Path(arguments[1]), settings)
    tell(result)
    draw(result)


def tell(result: RunResult) -> None:
    """Print what the result holds."""
    print(result.verdict)
    print(f"models: {', '.join(path.name for path in result.models)}")
    print(result.scores[["source", "score", "clashscore", "ramachandran_favoured"]].round(2))

    rows = result.per_residue.query("model == 'model_1'")
    least = rows.nsmallest(3, "confidence")
    print(
        "least certain residues:",
        ", ".join(f"{r.chain} {r.residue}{r.number}{r.insertion}" for r in least.itertuples()),
    )

    near = np.triu(result.rpdd.mean < 8, 3)
    i, j = np.unravel_index(np.argmax(np.where(near, result.rpdd.std, 0)), near.shape)
    print(f"loosest contact: residues {i} and {j}, {result.rpdd.mean[i, j]:.1f} ± {result.rpdd.std[i, j]:.1f} Å")


def draw(result: RunResult) -> None:
    """Write the figures as PNG files; each function gives a matplotlib Figure to change or to save."""
    figures = {
        "trace": plots.plot_trace(result),
        "difference": plots.plot_rpdd(result, "difference"),
        "pair": plots.plot_pair(result, 0, 10),
        "confidence": plots.plot_residues(result, "confidence"),
        "ramachandran": plots.plot_ramachandran(result),
    }
    for name, figure in figures.items():
        figure.savefig(result.out / f"plot_{name}.png", dpi=120)
        print("wrote", result.out / f"plot_{name}.png")


if __name__ == "__main__":  # finishing starts processes
    main(sys.argv[1:])
