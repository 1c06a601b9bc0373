"""A sampler of a peptide learned from its forces alone, in internal coordinates, and the torsions that its latent
variables turn: the slow ones, by which its states differ.

The law at β = 0 is normal about ideal geometry: bonds and angles as wide as their springs have them at the temperature,
torsions about single bonds so wide that nothing is known of them, those of amides and of methyl groups (one of three
equal ways round) narrower.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator

import openmm
import torch
from openmm import app, unit
from torch import Tensor

from refine.constants import BOLTZMANN
from refine.errors import EngineError, InputError
from refine.physics.bridge import OpenMMEnergy
from refine.physics.dynamics import Dynamics, peptide_system
from refine.physics.peptide import peptide
from refine.physics.zmatrix import ZMatrix
from refine.sampling.component import even_normal
from refine.sampling.reverse_kl import Temperature, Watch, fit
from refine.sampling.surrogate import Surrogate, SurrogateSettings
from refine.sampling.tempering import TemperingSettings
from refine.sampling.variables import named_torsion
from refine.structure.geometry import dihedral

MOST_ATOMS = 60
"""Of a peptide: what is measured is a peptide of 22."""
WIDE, NARROW, STIFF = 1.5, 0.5, 0.15
"""Standard deviations in radians at β = 0 of torsions about single bonds, of those of amides and methyl groups, and of
what the torsions of siblings differ by.
"""
LEAST_TURN = 0.05
"""Circular variance below which a torsion hardly turns."""
OVERLAP = 100.0
"""kT of a peptide, from which on its energy counts as that of overlaps."""
_WALL = 50.0
"""kT/rad² on a torsion beyond one turn."""
_CENTRES = {"phi": math.pi, "psi": math.radians(60.0)}
"""Radians, opposite to where hardly any conformation is; of other single bonds π."""
_KINDS = ("phi", "psi", "omega", "chi1", "chi2", "chi3", "chi4")
SETTINGS = SurrogateSettings(latent=2, hidden=60, samples=96, rate=2e-3, forward=0.1)
TEMPERING = TemperingSettings(first_updates=20, updates=20, most_updates=40, kept=0.6, converged=0.2)


@dataclasses.dataclass(frozen=True)
class Rotation:
    """A rotatable bond.

    Attributes:
        residue: index in the topology; kind: ``phi``, ``psi``, ``omega``, ``chi1``, … or, without a name, ``amide`` or
            ``methyl``, which is any group that ends the chain.
        place: of the atom in the Z-matrix whose torsion turns it; offset: of the torsion of this kind from that one.
    """

    residue: int
    kind: str
    place: int
    offset: float


class PeptideLaw:
    """The Boltzmann law of a peptide over deviations x (J, 3N − 6) of internal coordinates from ``centre``.

    Args:
        sequence: as ``physics.peptide`` reads it; temperature: K; forcefield: files of OpenMM.

    Attributes:
        spread: (3N − 6,) standard deviations of the law at β = 0.
        rotations: rotatable bonds; topology: of OpenMM.

    Raises:
        InputError: the sequence cannot be read, has rings, or more than ``MOST_ATOMS`` atoms.
        EngineError: OpenMM cannot set it up.
    """

    def __init__(self, sequence: str, temperature: float, forcefield: tuple[str, ...]) -> None:
        built = peptide(sequence)
        self.topology, self.kt = built.topology, BOLTZMANN * temperature
        if built.topology.getNumAtoms() > MOST_ATOMS:
            raise InputError(
                f"the peptide has {built.topology.getNumAtoms()} atoms",
                remedy=f"A sampler is learned of {MOST_ATOMS} at most: give a shorter peptide",
            )
        try:
            self.tree = ZMatrix.of(built.topology)
        except EngineError as error:
            raise InputError(
                f"{error.message} ({sequence})", remedy="Leave PRO, PHE, TYR, TRP and HIS out of the peptide"
            ) from error
        system = peptide_system(built.topology, forcefield, rigid=False)
        self._energy = OpenMMEnergy(system)
        relaxed = torch.from_numpy(10.0 * Dynamics(system).begin(built.positions).positions)
        self.rotations = tuple(self._named(relaxed))
        self.centre, self.spread = self._start(system, self.tree.internal(relaxed[None])[0])

    def energy(self, x: Tensor) -> Tensor:
        """U/kT (J,) in internal coordinates: the volume they stand for counts."""
        q = x + self.centre
        rows = [self.tree.torsion_of(r.place) for r in self.rotations]
        beyond = (x[:, rows].abs() - math.pi).clamp_min(0.0)
        energy = softened(self._energy(self.tree.cartesian(q)) / self.kt)
        return energy - self.tree.log_volume(q) + _WALL * (beyond**2).sum(-1)

    def torsions(self, x: Tensor) -> Tensor:
        """Torsions (J, R) of the rotatable bonds in radians, as they are named."""
        rows = [self.tree.torsion_of(r.place) for r in self.rotations]
        return (x + self.centre)[:, rows] + torch.tensor([r.offset for r in self.rotations], dtype=x.dtype)

    def positions(self, x: Tensor) -> Tensor:
        """(J, N, 3) Å."""
        return self.tree.cartesian(x + self.centre)

    def _named(self, relaxed: Tensor) -> Iterator[Rotation]:
        named = dict(named_bonds(self.topology))
        for place in self.tree.rotations:
            bond = self.tree.central_bond(place)
            if frozenset(bond) not in named:
                residue = list(self.topology.atoms())[bond[0]].residue.index
                yield Rotation(residue, "amide" if self._stiff(bond) else "methyl", place, 0.0)
                continue
            residue, kind, four = named[frozenset(bond)]
            own = self.tree.above[place]
            now = dihedral(*(relaxed[self.tree.order[k]] for k in (own[2], own[1], own[0], place)))
            yield Rotation(residue, kind, place, float(dihedral(*(relaxed[i] for i in four)) - now))

    def _stiff(self, bond: tuple[int, int]) -> bool:
        """Whether a bond of carbon and nitrogen without a name is an amide's: the nitrogen has two hydrogens."""
        atoms = list(self.topology.atoms())
        return {atoms[i].element.symbol for i in bond} == {"C", "N"}

    def _start(self, system: openmm.System, relaxed: Tensor) -> tuple[Tensor, Tensor]:
        """Centre and standard deviations of the law at β = 0."""
        tree, count = self.tree, len(self.tree.order)
        bonds, angles = _springs(system)
        centre, spread = relaxed.clone(), torch.full_like(relaxed, STIFF)
        for k in range(1, count):
            one, two, _ = tree.above[k]
            atoms = (tree.order[k], tree.order[one])
            spread[k - 1] = math.sqrt(self.kt / bonds[frozenset(atoms)])
            if k > 1:
                spread[count - 3 + k] = math.sqrt(self.kt / angles[frozenset((*atoms, tree.order[two])), atoms[1]])
        for rotation in self.rotations:
            row = tree.torsion_of(rotation.place)
            wide = rotation.kind not in ("omega", "methyl", "amide")
            spread[row] = WIDE if wide else NARROW
            if wide:
                centre[row] = _CENTRES.get(rotation.kind, math.pi) - rotation.offset
        return centre, spread


def softened(energy: Tensor) -> Tensor:
    """Energies in kT, those above ``OVERLAP`` as its logarithm: overlaps of atoms stay forbidden where they have no
    weight, and their forces have a size that learning can bear.
    """
    high = energy.clamp_min(OVERLAP)
    return torch.where(energy < OVERLAP, energy, OVERLAP * (1 + (high / OVERLAP).log()))


def named_bonds(topology: app.Topology) -> Iterator[tuple[frozenset[int], tuple[int, str, tuple[int, ...]]]]:
    """Rotatable bonds that have a name: both atoms, and residue, name and four atoms of the torsion."""
    for residue in topology.residues():
        for kind in _KINDS:
            with contextlib.suppress(InputError):  # caps have some of them, glycine no chi
                points = named_torsion(residue, kind, residue.name)
                four = tuple(point for point in points if isinstance(point, int))  # atoms, no centres of parts
                yield frozenset(four[1:3]), (residue.index, kind, four)


def _springs(system: openmm.System) -> tuple[dict[frozenset[int], float], dict[tuple[frozenset[int], int], float]]:
    """Force constants in kcal/mol by atoms: of bonds (Å⁻²), and of angles (rad⁻²) with the one in the middle."""
    bonds, angles = {}, {}
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicBondForce):
            for n in range(force.getNumBonds()):
                a, b, _, k = force.getBondParameters(n)
                bonds[frozenset((a, b))] = k.value_in_unit(unit.kilocalories_per_mole / unit.angstrom**2)
        if isinstance(force, openmm.HarmonicAngleForce):
            for n in range(force.getNumAngles()):
                a, b, c, _, k = force.getAngleParameters(n)
                angles[frozenset((a, b, c)), b] = k.value_in_unit(unit.kilocalories_per_mole / unit.radian**2)
    return bonds, angles


@dataclasses.dataclass(frozen=True)
class Learned:
    """A sampler of a peptide.

    Attributes:
        law: what it samples; model: the sampler; history: of its training.
    """

    law: PeptideLaw
    model: Surrogate
    history: tuple[Temperature, ...]

    def turned(self, count: int = 2000) -> list[tuple[Rotation, float]]:
        """All rotations, the one that the latent variables turn most first, with how much: the circular variance (0 to
        1) of the torsion that the decoder gives ``count`` latents.
        """
        z = even_normal(count, self.model.settings.latent, torch.Generator().manual_seed(0))
        with torch.no_grad():
            torsions = self.law.torsions(self.model.decoded(z))
        spread = 1 - torch.complex(torsions.cos(), torsions.sin()).mean(0).abs()
        both = zip(self.law.rotations, spread.tolist(), strict=True)
        return sorted(both, key=lambda one: -one[1])

    def sample(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Deviations (count, 3N − 6) and their latents (count, K)."""
        with torch.no_grad():
            return self.model.sample(count, torch.Generator().manual_seed(seed))


def variables_text(learned: Learned, most: int, least: float = LEAST_TURN) -> str:
    """Lines of a file of variables: the named torsions that the latent variables turn most, ``most`` of them and those
    alone that they turn by ``least`` or more, but one in any case.
    """
    named = [(r, s) for r, s in learned.turned() if r.kind in _KINDS]
    taken = [one for k, one in enumerate(named[:most]) if k == 0 or one[1] >= least]
    head = "# torsions that a sampler learned from forces alone turns most (circular variance, 0 to 1)"
    ids = [residue.id for residue in learned.law.topology.residues()]
    return "\n".join((head, *(f"torsion A:{ids[r.residue]} {r.kind}  # {s:.2f}" for r, s in taken), ""))


def learn(
    law: PeptideLaw,
    seed: int,
    settings: SurrogateSettings = SETTINGS,
    tempering: TemperingSettings = TEMPERING,
    watch: Watch = lambda model, batch: {},
    final_updates: int = 1000,
) -> Learned:
    """Learn a sampler of a law; ``seed`` of its first parameters and of its samples."""
    model = Surrogate(law.spread, settings, seed)
    return Learned(law, model, tuple(fit(model, law.energy, tempering, seed, watch, final_updates)))
