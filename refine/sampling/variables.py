"""Variables that a landscape is drawn over: torsions and distances, read from lines of text.

torsion A:12 phi
torsion A:12 chi1
torsion A:12 N A:12 CA A:12 CB A:12 SG
distance A:5 CA A:20 CA
distance A:5 CA A:20 CA 4 25        (from 4 to 25 Å)
centres A:1-29,A:68-117 A:122-159   (distance of the centres of their CA; limits as above)
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from openmm import app

from refine.constants import CHI_ATOMS, THREE_TO_ONE
from refine.errors import InputError
from refine.physics.bias import Axis, Point
from refine.sampling.subject import Subject
from refine.structure.arrays import dihedral
from refine.structure.protein import ResidueId
from refine.structure.selection import select_residues

MOST = 6
_RESIDUE = re.compile(r"(?:(?P<chain>[^:\s]*):)?(?P<number>-?\d{1,9})(?P<insertion>[A-Za-z]?)")
_REMEDY = (
    'Write "torsion A:12 phi", "torsion" with four atoms, "distance A:5 CA A:20 CA" or "centres A:5-20 A:30-40", '
    "one a line"
)
_NARROW, _WIDE = 8.0, 8.0
"""Å below and above the start that a distance without limits may reach."""
_SHORTEST = 2.0
_BLANK = ("", "blank")


@dataclasses.dataclass(frozen=True)
class Variable:
    """A torsion (radians, −π to π) or a distance (Å).

    Attributes:
        name: as the user wrote it; axis: its atoms and limits.
    """

    name: str
    axis: Axis

    @property
    def unit(self) -> str:
        """``degrees`` or ``Å``, as tables and pictures have it."""
        return "degrees" if self.axis.periodic else "Å"

    def of(self, frames: NDArray[np.floating]) -> NDArray[np.float64]:
        """Values (F,) in frames (F, n, 3) Å."""
        points = [_point(frames, p) for p in self.axis.particles]
        if self.axis.periodic:
            return dihedral(*points)
        return np.linalg.norm(points[0] - points[1], axis=1)

    def shown(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Values in ``unit``."""
        return np.degrees(values) if self.axis.periodic else np.asarray(values, np.float64)


def _point(frames: NDArray[np.floating], point: Point) -> NDArray[np.float64]:
    """(F, 3) Å of a particle, or of the centre of several, in frames (F, n, 3)."""
    if isinstance(point, int):
        return frames[:, point].astype(np.float64)
    return frames[:, list(point)].astype(np.float64).mean(1)


def read_variables(path: Path, subject: Subject) -> tuple[Variable, ...]:
    """Variables of a file.

    Raises:
        InputError: it cannot be read, a line names no variable of ``subject``, or there are none or more than ``MOST``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the variables: {error}", file=str(path), remedy="Check the path") from error
    variables: list[Variable] = []
    for number, line in enumerate(text.splitlines()[:1000], start=1):
        words = line.partition("#")[0].split()
        if words:
            try:
                variables.append(_variable(words, subject))
            except InputError as error:
                where = {"chain": error.chain, "residue": error.residue, "remedy": error.remedy or _REMEDY}
                raise InputError(f"line {number}: {error.message}", file=str(path), **where) from error
    if not 1 <= len(variables) <= MOST:
        raise InputError(f"the file names {len(variables)} variables", file=str(path), remedy=f"Name 1 to {MOST}")
    if len({v.axis.particles for v in variables}) < len(variables):
        raise InputError("the file names a variable twice", file=str(path), remedy="Name each once")
    return tuple(variables)


def backbone_torsions(subject: Subject) -> tuple[Variable, ...]:
    """phi and psi of the residue in the middle of a subject that has both: the variables of a peptide without a file.

    Raises:
        InputError: no residue has both.
    """
    for residue in sorted(_labelled(subject), key=lambda r: abs(2 * r.index - subject.topology.getNumResidues() + 1)):
        if residue.name in THREE_TO_ONE and _beside(residue, -1) and _beside(residue, 1):
            label = f"{subject.labels[residue.index]}"
            return tuple(_variable(["torsion", label, kind], subject) for kind in ("phi", "psi"))
    raise InputError("no residue has phi and psi", remedy="Name variables with --variables FILE")


def _variable(words: list[str], subject: Subject) -> Variable:
    kind, rest = words[0].lower(), words[1:]
    if kind == "torsion" and len(rest) == 2:
        residue = _residue(rest[0], subject)
        return Variable(" ".join(words[1:]), Axis(named_torsion(residue, rest[1].lower(), rest[0])))
    if kind == "torsion" and len(rest) == 8:
        return Variable(" ".join(words), Axis(_atoms(rest, subject)))
    if kind == "distance" and len(rest) in (4, 6):
        return _distance(" ".join(words[:5]), _atoms(rest[:4], subject), rest[4:], subject)
    if kind == "centres" and len(rest) in (2, 4):
        return _distance(" ".join(words[:3]), _centres(rest[:2], subject), rest[2:], subject)
    raise InputError(f"{' '.join(words)[:60]!r} is no variable")


def _distance(name: str, particles: tuple[Point, ...], limits: list[str], subject: Subject) -> Variable:
    """A distance whose limits (Å) are given, or lie around that of the start."""
    first, second = (_point(subject.start[None], p)[0] for p in particles)
    now = float(np.linalg.norm(first - second))
    low, high = _limits(limits) if limits else (max(_SHORTEST, now - _NARROW), now + _WIDE)
    if not low < now < high:
        raise InputError(f"the distance is {now:.1f} Å at the start, outside of {low:g} to {high:g} Å")
    return Variable(name, Axis(particles, low, high))


def _centres(words: list[str], subject: Subject) -> tuple[Point, ...]:
    """Particles of the CA of each selection."""
    residues = _labelled(subject)
    ids = [_label(subject, residue) for residue in residues]
    letters = "".join(THREE_TO_ONE.get(residue.name, "X") for residue in residues)
    groups = []
    for word in words:
        chosen = np.flatnonzero(select_residues(word, ids, letters)).tolist()
        atoms = [atom.index for k in chosen for atom in residues[k].atoms() if atom.name == "CA"]
        if not atoms:
            raise InputError(f"{word[:40]!r} holds no CA", remedy="Name amino acids")
        groups.append(tuple(atoms))
    if set(groups[0]) & set(groups[1]):
        raise InputError("the two parts share residues", remedy="Name parts that do not overlap")
    return tuple(groups)


def _limits(words: list[str]) -> tuple[float, float]:
    try:
        low, high = (float(word) for word in words)
    except ValueError:
        raise InputError(f"{' '.join(words)[:40]!r} are no two numbers") from None
    if not 0 < low < high < 1000:
        raise InputError(f"{low:g} to {high:g} Å is no range of a distance")
    return low, high


def _atoms(words: list[str], subject: Subject) -> tuple[Point, ...]:
    """Particles of pairs of words, residue and atom name."""
    particles = tuple(_atom(_residue(a, subject), b.upper(), a) for a, b in zip(words[::2], words[1::2], strict=True))
    if len(set(particles)) < len(particles):
        raise InputError("an atom is named twice")
    return particles


def _residue(text: str, subject: Subject) -> app.topology.Residue:
    match = _RESIDUE.fullmatch(text)
    if match is None:
        raise InputError(f"{text[:40]!r} names no residue", remedy='Write chain and number, e.g. "A:12"')
    residues = _labelled(subject)
    chains = list(dict.fromkeys(_label(subject, r).chain.strip() for r in residues))
    chain = match["chain"]
    if chain is None and len(chains) == 1:
        chain = chains[0]
    chain = "" if chain is None or (chain in _BLANK and "" in chains) else chain
    wanted = (chain, int(match["number"]), match["insertion"])
    for residue in residues:
        one = _label(subject, residue)
        if (one.chain.strip(), one.number, one.insertion.strip()) == wanted:
            return residue
    raise InputError("there is no such residue in the simulation", residue=text, remedy="Check chain and number")


def _labelled(subject: Subject) -> list[app.topology.Residue]:
    return [r for r in subject.topology.residues() if subject.labels[r.index] is not None]


def _label(subject: Subject, residue: app.topology.Residue) -> ResidueId:
    label = subject.labels[residue.index]
    assert label is not None
    return label


def _atom(residue: app.topology.Residue, name: str, label: str) -> int:
    names = {atom.name: atom.index for atom in residue.atoms()}
    if name not in names:
        there = ", ".join(n for n in names if not n.startswith("H"))
        raise InputError(f"there is no atom {name[:20]}", residue=f"{label} {residue.name}", remedy=f"It has {there}")
    return int(names[name])


def named_torsion(residue: app.topology.Residue, name: str, label: str) -> tuple[Point, ...]:
    """Particles of phi, psi, omega (of the peptide before the residue) or chi1 to chi4."""
    before, after = _beside(residue, -1), _beside(residue, 1)
    chis = CHI_ATOMS.get(THREE_TO_ONE.get(residue.name, ""), ())
    shapes = {
        "phi": ((before, "C"), (residue, "N"), (residue, "CA"), (residue, "C")),
        "psi": ((residue, "N"), (residue, "CA"), (residue, "C"), (after, "N")),
        "omega": ((before, "CA"), (before, "C"), (residue, "N"), (residue, "CA")),
    } | {f"chi{k}": tuple((residue, atom) for atom in atoms) for k, atoms in enumerate(chis, start=1)}
    if name not in shapes or any(one is None for one, _ in shapes[name]):
        known = ", ".join(n for n, atoms in shapes.items() if all(one is not None for one, _ in atoms))
        raise InputError(f"it has no torsion {name[:20]}", residue=f"{label} {residue.name}", remedy=f"It has {known}")
    return tuple(_atom(one, atom, label) for one, atom in shapes[name] if one is not None)


def _beside(residue: app.topology.Residue, step: int) -> app.topology.Residue | None:
    """The residue before (−1) or after (1) in the same chain."""
    residues = list(residue.chain.residues())
    k = residues.index(residue) + step
    return residues[k] if 0 <= k < len(residues) else None
