"""Small random networks, batches and packs for tests of the local distributions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from refine.constants import AMINO_ACIDS
from refine.networks.environment import RegionSettings
from refine.networks.judge import Judge, JudgeSettings
from refine.networks.likelihood import Likelihood, LikelihoodSettings
from refine.networks.network import TrunkSettings
from refine.networks.prior import Prior, PriorSettings
from refine.structure.geometry import virtual_cb
from refine.structure.protein import Protein
from refine.structure.write import write_pdb
from refine.training.packing import PackSettings, build_pack
from tests.proteins import chain_backbone, make_protein, small_protein, torsions

N = TypeVar("N", bound=nn.Module)
REGION = RegionSettings(neighbours=64)
PRIOR = PriorSettings(TrunkSettings(width=16, layers=2), REGION)
LIKELIHOOD = LikelihoodSettings(TrunkSettings(width=16, layers=2, identities=False), REGION)
JUDGE = JudgeSettings(TrunkSettings(width=16, layers=2), REGION)


def randomised(make: Callable[[], N], seed: int) -> N:
    """The same network for the same seed; read-outs that start at zero are moved too, or tests would see zeros."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        network = make()
        for p in network.parameters():
            p += 0.15 * torch.randn(p.shape)
    return network.eval().requires_grad_(False)


def prior(dtype: torch.dtype = torch.float64, seed: int = 0) -> Prior:
    return randomised(lambda: Prior(PRIOR), seed).to(dtype)


def likelihood(dtype: torch.dtype = torch.float64) -> Likelihood:
    return randomised(lambda: Likelihood(LIKELIHOOD), 0).to(dtype)


def judge(dtype: torch.dtype = torch.float64) -> Judge:
    return randomised(lambda: Judge(JUDGE), 0).to(dtype)


def compact_protein() -> Protein:
    """Two chains pushed together."""
    return make_protein([chain_backbone(*torsions(16)), chain_backbone(*torsions(12, 3)) + np.array([5.0, 5.0, 0.0])])


class Structure:
    """Inputs of the networks for one protein, B = 1; side chains are made up."""

    def __init__(self, protein: Protein, dtype: torch.dtype = torch.float64) -> None:
        self.backbone = torch.from_numpy(protein.coords[:, :, :4]).to(dtype)
        n, ca, c, _ = self.backbone.unbind(-2)
        axes = torch.stack((virtual_cb(n, ca, c) - ca, n - ca, c - ca), -2)
        slots = torch.arange(10, dtype=dtype)
        spread = torch.stack((1 + 0.4 * slots, 0.3 * torch.sin(slots), 0.3 * torch.cos(2 * slots)), -1)
        self.side_chain = ca.unsqueeze(2) + spread @ axes
        self.residue = torch.tensor([[AMINO_ACIDS.index(a) for a in protein.sequence]])
        self.present = torch.arange(10) < self.residue.unsqueeze(-1) % 6
        self.chain = torch.tensor([[protein.chains.index(r.chain) for r in protein.residue_ids]])
        self.position = torch.arange(len(protein))[None] + 20 * self.chain
        self.mask = torch.ones_like(self.residue, dtype=torch.bool)

    def labels(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.residue, self.position, self.chain, self.mask


def write_structures(folder: Path, count: int = 8, length: int = 44) -> Path:
    """A table of PDB files: four clusters in train, two each in valid and test."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["id\tfile\tcluster\tsplit\tquality"]
    for k in range(count):
        write_pdb(small_protein(length, seed=k), folder / f"p{k}.pdb")
        split = ("train", "train", "valid", "test")[k % 4]
        rows.append(f"p{k}\tp{k}.pdb\tc{k}\t{split}\tmade")
    table = folder / "table.tsv"
    table.write_text("\n".join(rows) + "\n")
    return table


def small_pack(folder: Path) -> Path:
    return build_pack(write_structures(folder / "files"), folder / "pack", PackSettings(workers=1))
