"""Atoms far from their own residue: placeholders such as 9999.000 or 0.000, and what a program lost on the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refine.constants import ATOM14
from refine.errors import InputError
from refine.structure.atom_record import NO_PLACE
from refine.structure.notes import Note
from refine.structure.residue_record import ResidueRecord

FAR = 15.0
"""Å; no two atoms of an amino acid are as far apart."""
_PLACEHOLDER_FAR = 3.0
"""Å from the nearest atom of its residue beyond which coordinates that look like a placeholder are one."""


def lift_misplaced(
    coords: NDArray[np.float64],
    mask: NDArray[np.bool_],
    oxt: NDArray[np.float64],
    oxt_mask: NDArray[np.bool_],
    residues: list[ResidueRecord],
    file: str,
) -> list[Note]:
    """Take out atoms that do not lie where the rest of their residue lies, to be rebuilt.

    A residue keeps the largest group of its atoms within ``FAR`` of one of them. Where the chain itself is torn, atoms
    stay, unless their coordinates are placeholders, and a note names the jumps. Changes ``coords``, ``mask``, ``oxt``
    and ``oxt_mask``, which the caller has just made.

    Args:
        coords, mask: (L, 14, 3) Å and (L, 14).
        oxt, oxt_mask: (L, 3) Å and (L,).
        residues: L, for the messages.
        file: its name, for the messages.

    Raises:
        InputError: a residue (of few) has placeholders alone.
    """
    points = np.concatenate((coords, oxt[:, None]), axis=1)
    there = np.concatenate((mask, oxt_mask[:, None]), axis=1)
    away = np.zeros_like(there)
    _refuse_blank(points, there, residues, file)
    for i in _suspects(points, there):
        slots = np.flatnonzero(there[i])
        away[i, slots[_misplaced(points[i, slots])]] = True
    notes = []
    jumps = _jumps(points, there & ~away, residues) if away.any() else []
    if jumps:
        torn = away & ~_is_placeholder(points)
        away &= ~torn
        notes += [_torn_note(int(torn.any(1).sum()), jumps)] if torn.any() else []
    for i in map(int, np.flatnonzero(away.any(1))):
        slots = np.flatnonzero(away[i])
        names = " ".join("OXT" if slot == 14 else ATOM14[residues[i].letter][slot] for slot in slots)
        where = _places(points[i, slots])
        why = f" lie far from the rest of the residue ({where}): taken out" if where else ": no coordinates"
        text = f"{names}{why}, to be built anew"
        notes.append(Note("misplaced", text, residues[i].chain, residues[i].label))
    coords[away[:, :14]], oxt[away[:, 14]] = 0.0, 0.0
    mask &= ~away[:, :14]
    oxt_mask &= ~away[:, 14]
    return notes


def _refuse_blank(
    points: NDArray[np.float64], there: NDArray[np.bool_], residues: list[ResidueRecord], file: str
) -> None:
    """Refuse a residue whose atoms all stand at a placeholder; a model that is nothing else is refused elsewhere."""
    blank = (there.sum(1) > 1) & (_is_placeholder(points) | ~there).all(1)
    if blank.any() and blank.mean() < 0.5:
        first = residues[int(np.flatnonzero(blank)[0])]
        place = first.atoms[0].position
        only = "" if place == NO_PLACE else f", only placeholders such as {place[0]:.3f}"
        raise InputError(
            f"{int(blank.sum())} residues have no coordinates{only}",
            file=file, chain=first.chain, residue=first.label, remedy="Remove them; the gap they leave stays a gap",
        )  # fmt: skip


def _jumps(points: NDArray[np.float64], there: NDArray[np.bool_], residues: list[ResidueRecord]) -> list[float]:
    """Å between residues of one chain and consecutive numbers, where more than ``FAR``: then the chain itself is torn,
    and single atoms are not what went astray.
    """
    centres = np.where(there[..., None], points, 0.0).sum(1) / np.maximum(there.sum(1), 1)[:, None]
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    return [
        float(step)
        for step, one, two in zip(steps, residues[:-1], residues[1:], strict=True)
        if step > FAR and one.chain == two.chain and two.atoms[0].number == one.atoms[0].number + 1
    ]


def _torn_note(residues: int, jumps: list[float]) -> Note:
    text = (
        f"{residues} residues are torn apart, and the chain jumps {len(jumps)} times by {min(jumps):.0f} to"
        f" {max(jumps):.0f} Å: the model seems to be wrapped into a periodic box; make it whole first, or keep its"
        " CRYST1 record"
    )
    return Note("box", text)


def _suspects(points: NDArray[np.float64], there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Residues that span more than ``FAR`` or hold a placeholder; all others need no second look."""
    low = np.where(there[..., None], points, np.inf).min(1)
    high = np.where(there[..., None], points, -np.inf).max(1)
    several = there.sum(1) > 1
    return np.flatnonzero(several & (((high - low) > FAR / 2).any(-1) | (_is_placeholder(points) & there).any(1)))


def _is_placeholder(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    size = np.abs(points)
    return (points == 0).all(-1) | (size >= 9998).any(-1) | np.isclose(size, 999.999, atol=1e-6).all(-1)


def _misplaced(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) bool of the atoms (n, 3) of one residue."""
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    placeholder = _is_placeholder(points)
    others = np.where(placeholder[None], np.inf, distances)
    lost = placeholder & (others.min(1) > _PLACEHOLDER_FAR)
    if lost.all() or not (~placeholder).any():
        return np.zeros(len(points), np.bool_)
    near = (distances < FAR) & ~lost & ~lost[:, None]
    return lost | ~near[near.sum(1).argmax()]


def _places(points: NDArray[np.float64]) -> str:
    """Where the first of the ``points`` (n, 3) are that are anywhere, in words."""
    somewhere = [point for point in points.tolist() if tuple(point) != NO_PLACE]
    texts = [" ".join(f"{x:.3f}" for x in point) for point in somewhere[:2]]
    return "; ".join(texts) + ("; …" if len(somewhere) > 2 else "")
