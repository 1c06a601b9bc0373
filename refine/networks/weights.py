"""Trained files: safetensors weights that rebuild their network from settings in the same file, no pickle.

A model is a folder: ``prior.safetensors`` (several networks may stand beside each other as ``prior_2.safetensors`` …),
``likelihood.safetensors`` and, where there are such, ``judge.safetensors``, ``near_native.safetensors`` and
``mover.safetensors``, each carrying its settings and metrics as JSON in the header, ``SHA256SUMS``, which loading
verifies, and ``CARD.md``.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from refine.errors import ModelError
from refine.networks.checksums import verify
from refine.networks.environment import RegionSettings
from refine.networks.judge import Judge, JudgeSettings
from refine.networks.likelihood import AtomSettings, Likelihood, LikelihoodSettings
from refine.networks.network import TrunkSettings
from refine.networks.prior import Prior, PriorSettings
from refine.networks.readout import Readout, ReadoutSettings
from refine.resources import models_dir

FORMAT = "refine-1"
DEFAULT_MODEL = "small"

NEAR_NATIVE_FILE = "near_native.safetensors"
MOVER_FILE = "mover.safetensors"

N = TypeVar("N", bound=nn.Module)
Network = Prior | Likelihood | Judge | Readout


@dataclasses.dataclass(frozen=True)
class Networks:
    """The learned local distributions a run uses.

    Attributes:
        priors: one or more prior networks; their disagreement is part of the uncertainty.
        likelihood: the identity likelihood.
        judge: the estimator of accuracy; None in a model that has none, where the priors' own expectation stands in.
        near_native: the read-out of the priors that moves near-native structures; None in a model that has none, where
            the priors' own do.
        mover: a further prior, which with the priors moves what is not near-native and takes part in no score; None in
            a model that has none.
        folder: where they came from.
        facts: settings and metrics of each file, for run.json.
    """

    priors: tuple[Prior, ...]
    likelihood: Likelihood
    judge: Judge | None
    near_native: Readout | None
    mover: Prior | None
    folder: Path
    facts: dict[str, Any]


def save_network(network: Network, path: Path, facts: dict[str, Any]) -> None:
    """Writes weights, settings and ``facts`` (plain values: data hash, metrics, command) to one safetensors file."""
    header = {
        "format": FORMAT,
        "network": type(network).__name__.lower(),
        "settings": json.dumps(dataclasses.asdict(network.settings)),
        "facts": json.dumps(facts),
    }
    save_file(
        {name: value.detach().contiguous().cpu() for name, value in network.state_dict().items()}, path, metadata=header
    )


def load_network(path: Path, kind: str, dtype: torch.dtype = torch.float32) -> tuple[Network, dict[str, Any]]:
    """Rebuilds one network ("prior", "likelihood", "judge" or "readout") and returns it with its facts.

    Raises:
        ModelError: the file is missing, damaged (its checksum, or values that are not finite), of another kind, or its
            tensors do not fit its settings.
    """
    remedy = "Reinstall refine, or pass a model folder made by this version's `refine train`."
    if not path.is_file():
        raise ModelError("a trained file is missing", file=str(path), remedy=remedy)
    try:
        verify(path)
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        if header.get("format") != FORMAT or header.get("network") != kind:
            raise ModelError(f"not a {kind} of format {FORMAT}", file=str(path), remedy=remedy)
        network = _build(kind, json.loads(header["settings"]))
        network.load_state_dict(tensors)
        if not all(bool(torch.isfinite(value).all()) for value in tensors.values()):
            raise ModelError("a trained file is damaged: not all weights are finite", file=str(path), remedy=remedy)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"a trained file cannot be read: {error}", file=str(path), remedy=remedy) from error
    network = network.to(dtype).eval().requires_grad_(False)
    return network, json.loads(header.get("facts", "{}"))


def _build(kind: str, settings: dict[str, Any]) -> Network:
    if kind == "readout":
        return Readout(ReadoutSettings(**settings))
    trunk, region = TrunkSettings(**settings.pop("trunk")), RegionSettings(**settings.pop("region"))
    if kind == "prior":
        return Prior(PriorSettings(trunk=trunk, region=region, **settings))
    if kind == "judge":
        return Judge(JudgeSettings(trunk=trunk, region=region, **settings))
    atoms = AtomSettings(**settings.pop("atoms"))
    return Likelihood(LikelihoodSettings(trunk=trunk, region=region, atoms=atoms, **settings))


def load_networks(
    model: str | Path = DEFAULT_MODEL, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Networks:
    """The networks of a model: the name of a shipped one or a folder.

    Raises:
        ModelError: no such model, or a file of it is damaged.
    """
    folder = Path(model) if Path(model).is_dir() else models_dir() / model
    if not folder.is_dir():
        raise ModelError(
            f"there is no model '{model}'",
            remedy=f"Shipped models: {', '.join(shipped_models()) or 'none'}; or give a folder.",
        )
    paths = [folder / "prior.safetensors", *sorted(folder.glob("prior_[0-9].safetensors"))]
    facts: dict[str, Any] = {}
    priors = []
    for path in paths:
        network, facts[path.stem] = load_network(path, "prior", dtype)
        assert isinstance(network, Prior)
        priors.append(network.to(device))
    likelihood, facts["likelihood"] = load_network(folder / "likelihood.safetensors", "likelihood", dtype)
    assert isinstance(likelihood, Likelihood)
    judge = None
    if (folder / "judge.safetensors").is_file():
        network, facts["judge"] = load_network(folder / "judge.safetensors", "judge", dtype)
        assert isinstance(network, Judge)
        judge = network.to(device)
    near_native = None
    if (folder / NEAR_NATIVE_FILE).is_file():
        network, facts["near_native"] = load_network(folder / NEAR_NATIVE_FILE, "readout", dtype)
        assert isinstance(network, Readout)
        near_native = network.to(device)
    mover = None
    if (folder / MOVER_FILE).is_file():
        network, facts["mover"] = load_network(folder / MOVER_FILE, "prior", dtype)
        assert isinstance(network, Prior)
        mover = network.to(device)
    return Networks(tuple(priors), likelihood.to(device), judge, near_native, mover, folder, facts)


def shipped_models() -> tuple[str, ...]:
    """Names of the models inside this installation."""
    return tuple(sorted(p.parent.name for p in models_dir().glob("*/prior.safetensors")))
