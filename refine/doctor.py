"""``refine doctor``: what is installed, which device is used, whether the trained files are good."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Callable, Iterator

import openmm
import torch

from refine.device import choose_device, device_name
from refine.engine import load_networks_of
from refine.errors import RefineError
from refine.networks.checksums import SUMS_FILE, read_checksums
from refine.networks.network import parameter_count
from refine.networks.weights import load_networks
from refine.resources import app_dir, models_dir
from refine.run.record import versions
from refine.selftest import check_numbers
from refine.settings import RunSettings
from refine.structure.riding_groups import PACKAGE, phosphate_files


@dataclasses.dataclass(frozen=True)
class Check:
    """One line of the report; ``good`` None marks information that cannot be wrong."""

    name: str
    good: bool | None
    detail: str


def examine(settings: RunSettings) -> tuple[str, int]:
    """The report and the exit code: 0 when a run can start with ``settings``, else 2."""
    checks = list(_checks(settings))
    mark = {True: "ok  ", False: "BAD ", None: "    "}
    lines = [f"{mark[c.good]} {c.name:<16} {c.detail}" for c in checks]
    bad = [c.name for c in checks if c.good is False]
    lines.append(f"Not ready: {', '.join(bad)}." if bad else "Ready.")
    return "\n".join(lines) + "\n", 2 if bad else 0


def _checks(settings: RunSettings) -> Iterator[Check]:
    for name, version in versions().items():
        yield Check(name, version != "missing", version)
    yield Check("processors", None, f"{os.cpu_count()}, torch uses {torch.get_num_threads()}")
    yield _attempt("device", lambda: device_name(choose_device(settings.device)))
    platforms = [openmm.Platform.getPlatform(i).getName() for i in range(openmm.Platform.getNumPlatforms())]
    yield Check("OpenMM", bool({"CPU", "CUDA", "OpenCL"} & set(platforms)), f"platforms {', '.join(platforms)}")
    yield _attempt("trained files", lambda: str(models_dir()))
    networks = _attempt("networks", lambda: _networks(settings))
    yield networks
    if networks.good:
        yield _attempt("self-test", lambda: _self_test(settings))
    yield _attempt("web page", lambda: str(app_dir()))
    extra = "installed" if importlib.util.find_spec("streamlit") else "not installed; pip install 'refine[app]'"
    yield Check("web extra", None, extra)
    there = "phosphorylated residues move" if phosphate_files() else "not installed: phosphorylated residues are held"
    yield Check("modified extra", None, there + ("" if phosphate_files() else f"; pip install {PACKAGE}"))


def _networks(settings: RunSettings) -> str:
    if settings.networks == "none":
        return "none: the run uses no learned terms"
    networks = load_networks(settings.networks)
    others = {"judge": networks.judge, "near-native read-out": networks.near_native, "mover": networks.mover}
    present = {name: network for name, network in others.items() if network is not None}
    values = sum(parameter_count(n) for n in (*networks.priors, networks.likelihood, *present.values()))
    counts = ", ".join((f"{len(networks.priors)} prior, likelihood", *present))
    unverified = read_checksums(networks.folder) is None
    checked = f"not verified, there is no {SUMS_FILE}" if unverified else f"checksums as in {SUMS_FILE}"
    return f"{settings.networks}: {counts}, {values / 1e6:.2f} M values, loaded, {checked}"


def _self_test(settings: RunSettings) -> str:
    networks = load_networks_of(settings)
    return "no networks, no numbers to compare" if networks is None else check_numbers(networks, settings.device)


def _attempt(name: str, work: Callable[[], str]) -> Check:
    try:
        return Check(name, True, work())
    except RefineError as error:
        return Check(name, False, str(error))
