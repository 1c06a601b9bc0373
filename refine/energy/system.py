"""What the energy terms need to know of a protein, apart from where its backbone is."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refine.constants import AMINO_ACIDS, ONE_TO_THREE
from refine.errors import EngineError
from refine.structure.chemistry import is_cis
from refine.structure.connections import disulfide_pairs, linked_groups
from refine.structure.geometry import dihedral, frames, to_local
from refine.structure.modified_residues import parent
from refine.structure.protein import Protein, ResidueId


@dataclasses.dataclass(frozen=True)
class System:
    """The fixed facts of L residues; tensors on one device.

    Attributes:
        sequence: L one-letter codes.
        names: L three-letter names, of a modified residue its own where atoms that no standard residue has are there.
        labels: L names for messages, as ``"A:52B GLY"``.
        residue_index: (L,) int64 in the order of ``constants.AMINO_ACIDS``.
        bonded: (L,) bool, peptide bond from i to i + 1.
        cis: (L,) bool, the peptide bond from i to i + 1 is to be cis: as the start has it.
        chain_index: (L,) int64, 0 for the first chain.
        position: (L,) int64, author number where those ascend within the chain, else running number.
        side_chain_local: (L, 10, 3) Å, side-chain heavy atoms in the residue frame, in the order of SIDE_CHAIN_ATOMS;
            absent ones are 0.
        has_side_chain: (L, 10) bool, which of them exist.
        centroid_local: (L, 3) Å, mean of all side-chain heavy atoms in the residue frame; 0 where there are none.
        has_centroid: (L,) bool, the residue has side-chain atoms beyond CB.
        cb_local: (L, 3) Å, CB as the structure has it in the residue frame; ``has_cb`` (L,) where it exists.
        hetero: (M, 3) Å, atoms that stay where they are; hetero_elements: M element symbols.
        linked: (K, 2) residue and hetero atom, all atoms of the groups that a residue is bonded to.
        disulfides: (D, 2) residues whose sulfurs are bonded to each other.
    """

    sequence: str
    names: tuple[str, ...]
    labels: tuple[str, ...]
    residue_index: Tensor
    bonded: Tensor
    cis: Tensor
    chain_index: Tensor
    position: Tensor
    side_chain_local: Tensor
    has_side_chain: Tensor
    centroid_local: Tensor
    has_centroid: Tensor
    cb_local: Tensor
    has_cb: Tensor
    hetero: Tensor
    hetero_elements: tuple[str, ...]
    linked: NDArray[np.int64]
    disulfides: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def peptide_sign(self) -> Tensor:
        """(L,) −1 where the peptide bond from i to i + 1 is to be trans, +1 cis, 0 where there is none."""
        return (torch.where(self.cis, 1.0, -1.0) * self.bonded).to(self.dtype)

    @property
    def device(self) -> torch.device:
        return self.centroid_local.device

    @property
    def dtype(self) -> torch.dtype:
        return self.centroid_local.dtype

    @classmethod
    def from_protein(
        cls,
        protein: Protein,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> System:
        """The system of replica 0 of ``protein``.

        Args:
            protein: with complete backbones (``structure.repair`` sees to that).
            device, dtype: of the floating-point tensors.

        Raises:
            EngineError: a residue lacks a backbone atom or holds a coordinate that is not a number.
        """
        riding = {rider.hetero for rider in protein.riders}  # they move with their residues, and are none of its sites
        protein = protein.with_hetero([k for k in range(len(protein.hetero)) if k not in riding]) if riding else protein
        x, mask = protein.coords[0].astype(np.float64), protein.mask
        labels = tuple(f"{rid} {aa}" for rid, aa in zip(protein.residue_ids, protein.sequence, strict=True))
        _check(x, mask, labels)
        backbone = torch.from_numpy(x[:, :4])
        rot, ca = frames(*backbone[:, :3].unbind(1)), backbone[:, 1]
        side = torch.from_numpy(mask[:, 4:])
        local = to_local(rot[:, None], ca[:, None], torch.from_numpy(x[:, 4:])) * side[..., None]
        centroid = local.sum(1) / side.sum(1).clamp_min(1)[:, None]
        chains = {chain: k for k, chain in enumerate(protein.chains)}
        return cls(
            sequence=protein.sequence,
            names=_names(protein),
            labels=labels,
            residue_index=torch.tensor(
                [AMINO_ACIDS.index(aa) for aa in protein.sequence], dtype=torch.int64, device=device
            ),
            bonded=torch.tensor(protein.bonded, device=device),
            cis=_cis(backbone, protein).to(device),
            chain_index=torch.tensor([chains[r.chain] for r in protein.residue_ids], dtype=torch.int64, device=device),
            position=torch.tensor(_positions(protein), dtype=torch.int64, device=device),
            side_chain_local=local.to(device=device, dtype=dtype),
            has_side_chain=side.to(device),
            centroid_local=centroid.to(device=device, dtype=dtype),
            has_centroid=side[:, 1:].any(1).to(device),
            cb_local=local[:, 0].to(device=device, dtype=dtype),
            has_cb=side[:, 0].to(device),
            hetero=torch.tensor([h.position for h in protein.hetero], dtype=torch.float64)
            .reshape(-1, 3)
            .to(device=device, dtype=dtype),
            hetero_elements=tuple(h.element.strip().upper() for h in protein.hetero),
            linked=linked_groups(protein),
            disulfides=np.array(disulfide_pairs(protein), np.int64).reshape(-1, 2),
        )


def _check(x: NDArray[np.float64], mask: NDArray[np.bool_], labels: tuple[str, ...]) -> None:
    bad = ~mask[:, :4].all(1)
    if bad.any():
        raise EngineError(
            "backbone atoms are missing", residue=labels[int(bad.argmax())], remedy="Repair the structure first"
        )
    bad = ~np.isfinite(x).all((1, 2))
    if bad.any():
        raise EngineError(
            "a coordinate is not a number", residue=labels[int(bad.argmax())], remedy="Correct or remove this residue"
        )


def _names(protein: Protein) -> tuple[str, ...]:
    """Three-letter names; what a modified residue was called stands with its atoms that are carried along."""
    carried = {ResidueId(h.chain, h.number, h.insertion): h.residue_name for h in protein.hetero}
    names = []
    for own, letter in zip(protein.residue_ids, protein.sequence, strict=True):
        name = carried.get(own, "")
        names.append(name if name and parent(name) == letter else ONE_TO_THREE[letter])
    return tuple(names)


def _cis(backbone: Tensor, protein: Protein) -> Tensor:
    cis = torch.zeros(len(protein), dtype=torch.bool)
    if len(protein) > 1:
        omega = dihedral(backbone[:-1, 1], backbone[:-1, 2], backbone[1:, 0], backbone[1:, 1])
        before_proline = np.array([aa == "P" for aa in protein.sequence[1:]])
        cis[:-1] = torch.from_numpy(is_cis(omega.rad2deg().numpy(), before_proline) & protein.bonded[:-1])
    return cis


def _positions(protein: Protein) -> list[int]:
    numbers: list[int] = []
    for chain in protein.chains:
        own = [r.number for r in protein.residue_ids if r.chain == chain]
        ascending = all(b > a for a, b in zip(own, own[1:], strict=False))
        numbers.extend(own if ascending else range(len(own)))
    order = [i for chain in protein.chains for i, r in enumerate(protein.residue_ids) if r.chain == chain]
    placed = [0] * len(order)
    for i, number in zip(order, numbers, strict=True):
        placed[i] = number
    return placed


def next_residue(x: Tensor) -> Tensor:
    """Entries of residue i + 1 at place i of (R, L, ...); the last gets its own (mask with ``bonded``)."""
    return torch.cat((x[:, 1:], x[:, -1:]), dim=1)


def share_with_next(link: Tensor) -> Tensor:
    """Energies (R, L) of links from i to i + 1, shared half and half; the last entry must be 0."""
    half = 0.5 * link
    return half + torch.cat((torch.zeros_like(half[:, :1]), half[:, :-1]), dim=1)
