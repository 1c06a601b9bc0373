"""explore.html: the free-energy map, states and structures of an exploration in one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from refine.explore.input import Explored
from refine.report.encode import script_json, short
from refine.report.render import asset, render, shared_script
from refine.run.folder import RunFolder
from refine.sampling.exploration import Sampled
from refine.sampling.profile import Grid, Profile
from refine.sampling.settings import FRAME_PS, ExploreSettings
from refine.sampling.variables import Variable

PAGE = "explore.html"
MOST_TEXT = 6_000_000
"""Characters of structures on the page: of larger ensembles every other snapshot, or fewer, is left out."""
START = "drawExploration(JSON.parse(document.getElementById('data').textContent));\n"


def write_page(
    folder: RunFolder,
    given: Explored,
    settings: ExploreSettings,
    run: Sampled,
    found: Profile,
    record: Mapping[str, Any],
    shown: NDArray[np.int64],
) -> None:
    """Write explore.html; ``shown`` are the kept frames of ensemble.pdb, which must be there."""
    models = _models((folder.path / "ensemble.pdb").read_text(encoding="ascii"))
    every = max(1, math.ceil(sum(map(len, models)) / MOST_TEXT))
    states = record["models"]
    data = {
        "grids": [_grid(grid, given.variables) for grid in found.grids],
        "frames": [_frame(place, models[n], run, found, given.variables)
                   for n, place in list(enumerate(run.kept[shown].tolist()))[::every]],
        "states": [_state(folder, one, given.variables) for one in states],
        "sticks": given.subject.topology.getNumResidues() < 8,
    }  # fmt: skip
    script = f"{shared_script()}\n{asset('explore.js')}\n{START}"
    scripts = (asset("3Dmol-min.js").replace("</script", "<\\/script"), script)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii") for text in scripts]
    text = render(
        "explore.html",
        title=given.name,
        settings=settings,
        record=record,
        states=[_row(one) for one in states],
        variables=[v.name for v in given.variables],
        style=Markup(asset("report.css")),
        scripts=[Markup(one) for one in scripts],
        digests=digests,
        data=Markup(script_json(data)),
        licence=Markup(asset("3Dmol-LICENSE.txt").replace("--", "- -")),
    )
    folder.text(PAGE, text)


def _models(text: str) -> list[str]:
    """Texts of the MODELs of a PDB file, each with its CONECT records, or the whole file where it has none."""
    parts = text.split("\nMODEL ")
    bonds = "".join(line for line in text.splitlines(True) if line.startswith("CONECT"))
    return [part.partition("\n")[2].partition("ENDMDL")[0] + bonds for part in parts[1:]] or [text]


def _grid(grid: Grid, variables: Sequence[Variable]) -> dict[str, Any]:
    own = [variables[k] for k in grid.variables]
    return {
        "names": [f"{v.name} ({v.unit})" for v in own],
        "variables": list(grid.variables),
        "axes": [short(v.shown(points).tolist()) for v, points in zip(own, grid.axes, strict=True)],
        "periodic": [v.axis.periodic for v in own],
        "learned": short(grid.learned.ravel().tolist()),
        "spread": short(grid.spread.ravel().tolist(), 2),
        "weighted": short(grid.weighted.ravel().tolist()),
        "bias": short(grid.bias.ravel().tolist()),
    }


def _frame(place: int, text: str, run: Sampled, found: Profile, variables: Sequence[Variable]) -> dict[str, Any]:
    return {
        "time": round(place * FRAME_PS / 1000, 4),
        "state": int(found.label[place]) + 1,
        "at": short([float(v.shown(run.q[place, k])) for k, v in enumerate(variables)]),
        "text": text,
    }


def _state(folder: RunFolder, model: Mapping[str, Any], variables: Sequence[Variable]) -> dict[str, Any]:
    text = (folder.path / model["pdb"]).read_text(encoding="ascii")
    return {"name": model["name"], "at": [model["variables"][v.name] for v in variables], "text": text}


def _row(model: Mapping[str, Any]) -> dict[str, str]:
    """A state in words."""
    population, error = model["population"], model["population_error"]
    known = "not given" if population is None else f"{100 * population:.2f} ± {100 * error:.2f}"
    energy = model["free_energy"]
    return {
        "name": model["name"].replace("_", " "),
        "population": known,
        "learned": f"{100 * model['population_learned']:.2f}",
        "energy": "–" if energy is None else f"{energy:.2f}",
        "entries": str(model["entries"]),
        "first": f"{1000 * model['first_ns']:.1f}",
        "at": ", ".join(f"{value:g}" for value in model["variables"].values()),
    }
