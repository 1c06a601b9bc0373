"""The amber14 protein force field as OpenMM has it: topology, system and positions of one protein."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app
from scipy.spatial import cKDTree

from refine.constants import ATOM14, ONE_TO_THREE
from refine.errors import EngineError
from refine.physics.caps import CAP_NAMES, Cap, caps, closed
from refine.physics.dynamics import rigid_hydrogens
from refine.physics.forces import BONDED, NONBONDED, SOLVENT, Nonbonded, scalable_charges, silence, soft_spheres
from refine.physics.hydrogens import HydrogenPlacer
from refine.physics.platform import open_context
from refine.physics.protonation import bound_variants, protonated
from refine.structure.atom_sites import is_water
from refine.structure.backbone import place_oxt
from refine.structure.chemistry import radii
from refine.structure.connections import disulfide_pairs
from refine.structure.protein import Protein, Rider, Site
from refine.structure.riding_groups import PROTONATED, phosphate_files

KJ_PER_KCAL = 4.184
NM_PER_ANGSTROM = 0.1
_CUTOFF_NM = 1.0
_HETERO_REACH = 5.5
"""Å from the protein within which hetero atoms are obstacles: beyond it they act by about 0.01 kcal/mol."""
_WATER_REACH = 3.5
"""The same for waters: those that touch the protein or are hydrogen-bonded to it. Each costs as much as an atom."""
# OBC radii in Å and scales by element (Onufriev, Bashford & Case 2004; mbondi2: hydrogen on nitrogen 1.3).
_GB = {"H": (1.2, 0.85), "C": (1.7, 0.72), "N": (1.55, 0.79), "O": (1.5, 0.85), "S": (1.8, 0.96), "P": (1.85, 0.86)}
_GB_POLAR_HYDROGEN = 1.3
_FIXED_PAIR = 2.2
"""Å within which atoms that cannot move do not feel each other."""


class ForceFieldSystem:
    """The OpenMM system of one protein, built once and used for many models of it.

    Each bonded stretch of at least two residues with complete heavy atoms is a chain of its own, so gaps stay open and
    nothing is invented; other residues and hetero atoms are fixed soft obstacles. Its ends are charged, but where it is
    bonded to an obstacle it has a cap, and the ends of a cycle are bonded to each other. Hydrogens and the terminal
    oxygens that templates need are internal; a hydrogen in whose place a bond to an obstacle is has no charge and no
    size. Forces are in the groups ``BONDED``, ``NONBONDED`` (charges scaled by the parameter ``charge_scale``),
    ``SOFT`` (soft spheres) and ``SOLVENT`` of ``physics.forces``.

    Args:
        protein: R = 1; decides protonation, disulfides, obstacles.
        mobile: (L,) bool; heavy atoms of other residues do not move. Residues bonded to obstacles, or to one another
            besides peptides and disulfides, must be among those (``connections.held_residues``).
        ph: at which hydrogens are added.
        solvent: add generalised Born solvent (OBC).
        dynamic: for dynamics of 4 fs a step, not for minimisation: bonds to hydrogen are constrained, hydrogens have
            ``HYDROGEN_MASS``, and no atom of a residue that is not mobile moves.

    Attributes:
        topology: of OpenMM, with hydrogens and without obstacles; system: of OpenMM, obstacles last.
        included: (L,) bool, residues that are in the topology.
        particle: (L, 15) of each slot of ``Protein.coords``, 14 is OXT; -1 where there is none.
        residue_of: (atoms of the topology,) residue index.
        riders: those of the protein that are in the topology; rider_particles: of each.

    Raises:
        EngineError: OpenMM cannot build the system.
    """

    def __init__(
        self,
        protein: Protein,
        mobile: NDArray[np.bool_],
        *,
        ph: float = 7.0,
        solvent: bool = True,
        dynamic: bool = False,
    ) -> None:
        self.included = _included(protein)
        self.riders = [rider for rider in protein.riders if rider.has_neighbours(self.included, protein.bonded)]
        if not self.included.any():
            raise EngineError("no bonded stretch of complete residues to relax")
        try:
            self._caps = list(caps(protein, self.included).items())
            topology, start = _heavy_topology(protein, self.included, dict(self._caps), self.riders)
            self.topology = protonated(topology, start, ph, bound_variants(protein, topology, self.included))
            phosphates = any(rider.group.template in PROTONATED for rider in self.riders)
            self.system = _amber14(phosphates=phosphates).createSystem(
                self.topology,
                nonbondedMethod=app.CutoffNonPeriodic,
                nonbondedCutoff=_CUTOFF_NM,
                removeCMMotion=False,
                **(rigid_hydrogens() if dynamic else {}),
            )
        except (ValueError, KeyError, ZeroDivisionError, openmm.OpenMMException) as error:
            raise EngineError(f"OpenMM could not set up {protein.name}: {error}") from error
        self._index_atoms(protein)
        self._hydrogens = HydrogenPlacer(self.topology)
        self._find_obstacles(protein)
        left_out = {rider.residue for rider in protein.riders} - {rider.residue for rider in self.riders}
        mobile = mobile & ~np.isin(np.arange(len(protein)), sorted(left_out))
        self._add_forces(protein, mobile, solvent)
        if dynamic:
            self._hold_hydrogens(mobile)

    def _hold_hydrogens(self, mobile: NDArray[np.bool_]) -> None:
        """Hold hydrogens of residues that do not move; constraints of atoms without mass are none."""
        for particle in np.flatnonzero((self.residue_of >= 0) & ~mobile[self.residue_of]).tolist():
            self.system.setParticleMass(particle, 0.0)
        for n in reversed(range(self.system.getNumConstraints())):
            first, second, _ = self.system.getConstraintParameters(n)
            if 0.0 in (self.system.getParticleMass(first)._value, self.system.getParticleMass(second)._value):
                self.system.removeConstraint(n)

    def add_solvent(self) -> None:
        """Give the system its solvent, for callers that make a context of their own; ``open`` does it itself."""
        if self._solvent_force is not None:
            self.system.addForce(self._solvent_force)

    def _add_forces(self, protein: Protein, mobile: NDArray[np.bool_], solvent: bool) -> None:
        """Fixed atoms, obstacles, soft spheres; the solvent is kept back until ``open``."""
        nonbonded = next(f for f in self.system.getForces() if isinstance(f, openmm.NonbondedForce))
        nonbonded.setReactionFieldDielectric(1.0)
        silence(nonbonded, self._ghosts(protein))
        self._solvent_force = self._solvent(nonbonded) if solvent else None
        for force in self.system.getForces():
            force.setForceGroup(NONBONDED if force is nonbonded else BONDED)
        nonbonded.setForceGroup(NONBONDED)
        for i in np.nonzero(self.included & ~mobile)[0].tolist():
            for particle in self.particle[i][self.particle[i] >= 0]:
                self.system.setParticleMass(int(particle), 0.0)
        for rider, particle in zip(self.riders, self.rider_particles, strict=True):
            if not mobile[rider.residue]:
                self.system.setParticleMass(particle, 0.0)
        for residue in self.topology.residues():
            if residue.name in CAP_NAMES:
                for atom in residue.atoms():
                    self.system.setParticleMass(atom.index, 0.0)
        self._add_obstacles(nonbonded, self._solvent_force, protein)
        self._ignore_fixed_pairs(nonbonded, protein)
        values = Nonbonded.of(nonbonded)
        self.system.addForce(soft_spheres(values))
        scalable_charges(nonbonded, values)

    def open(self, device: str, threads: int, restraints: Sequence[openmm.Force] = ()) -> tuple[str, openmm.Context]:
        """Name of the platform and a context of the system with ``restraints``, to which it gives the group ``BONDED``.

        May be called once: the system then owns the forces.

        Raises:
            EngineError: no platform of ``device`` works.
        """
        for force in restraints:
            force.setForceGroup(BONDED)
            self.system.addForce(force)
        self.add_solvent()
        return open_context(self.system, device, threads)

    def coordinates(self, x: NDArray[np.float64], protein: Protein) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Coordinates (L, 14, 3) and terminal oxygens (L, 3) of ``protein`` with its atoms at positions ``x``
        (particles, 3) in Å; what is not in the system stays.
        """
        coords, oxt = protein.coords[0].copy(), protein.oxt[0].copy()
        body = self.particle[:, :14]
        coords[body >= 0] = x[body[body >= 0]]
        ends = (self.particle[:, 14] >= 0) & protein.oxt_mask
        oxt[ends] = x[self.particle[ends, 14]]
        return coords, oxt

    def rider_places(self, x: NDArray[np.float64], protein: Protein) -> NDArray[np.float64]:
        """Positions (n, 3) in Å of the riders of ``protein``; as ``coordinates``."""
        places = protein.rider_places()
        rows = {rider.hetero: n for n, rider in enumerate(protein.riders)}
        for rider, particle in zip(self.riders, self.rider_particles, strict=True):
            if self.system.getParticleMass(particle)._value > 0.0:
                places[rows[rider.hetero]] = x[particle]
        return places

    def positions(self, protein: Protein) -> NDArray[np.float64]:
        """Positions (particles, 3) in Å; coincident heavy atoms are moved apart by a fixed tiny pattern."""
        x = np.zeros((self.topology.getNumAtoms(), 3))
        with_oxt = np.concatenate((protein.coords[0], protein.oxt[0][:, None]), axis=1).astype(np.float64)
        for i in np.nonzero((self.particle[:, 14] >= 0) & ~protein.oxt_mask)[0]:
            with_oxt[i, 14] = place_oxt(*with_oxt[i, :4])
        there = self.particle >= 0
        heavy = self.particle[there]
        obstacles = self._obstacles(protein)
        x[heavy] = separated(with_oxt[there], obstacles)
        x[self.rider_particles] = np.array([protein.hetero[one.hetero].position for one in self.riders]).reshape(-1, 3)
        for particles, (_, cap) in zip(self._cap_particles, self._caps, strict=True):
            x[particles] = cap.positions(protein)
        return np.concatenate((self._hydrogens.place(x), obstacles))

    def _index_atoms(self, protein: Protein) -> None:
        """Particle of each slot (L, 15), -1 where there is none; slot 14 is OXT."""
        index = np.full((len(protein), 15), -1, dtype=np.int64)
        particles: dict[int, dict[str, int]] = {}
        self.residue_of = np.full(self.topology.getNumAtoms(), -1, dtype=np.int64)
        residues = [residue for residue in self.topology.residues() if residue.name not in CAP_NAMES]
        for i, residue in zip(np.nonzero(self.included)[0].tolist(), residues, strict=True):
            names = {a.name: a.index for a in residue.atoms()}
            slots = (*ATOM14[protein.sequence[i]], *[""] * (14 - len(ATOM14[protein.sequence[i]])), "OXT")
            index[i] = [names.get(name, -1) for name in slots]
            self.residue_of[list(names.values())] = i
            particles[i] = names
        self.particle = index
        self.rider_particles = [particles[rider.residue][rider.name] for rider in self.riders]
        heavy = {
            (residue.id, residue.name): [a.index for a in residue.atoms() if a.element.symbol != "H"]
            for residue in self.topology.residues()
        }
        self._cap_particles = [heavy[_cap_id(site), cap.name] for site, cap in self._caps]

    def _ghosts(self, protein: Protein) -> list[tuple[int, int]]:
        """Hydrogens, each with its heavy atom, that are not there in truth because a bond to an obstacle is: one for
        each bond. Where the topology has the bond, to a cap or closing a cycle, there is none to lose.
        """
        hydrogens: dict[int, list[int]] = {}
        for a, b in self.topology.bonds():
            for atom, other in ((a, b), (b, a)):
                if other.element.symbol == "H":
                    hydrogens.setdefault(atom.index, []).append(other.index)
        bonded = {site for site, _ in self._caps} | {Site(j, 0) for _, j in closed(protein, self.included)}
        pairs = []
        riding = {Site(-1, one.hetero) for one in self.riders}
        for one in protein.connections:
            for site in (one.first, one.second) if one.second not in riding else ():
                parent = int(self.particle[site]) if site.residue >= 0 else -1
                free = hydrogens.get(parent, [])
                amine = one.kind == "metal" and len(free) > 1
                if free and one.kind != "disulfide" and site not in bonded and not amine:
                    pairs.append((free.pop(), parent))
        return pairs

    def _find_obstacles(self, protein: Protein) -> None:
        """Atoms that stand in the way near the protein: residues left out (they keep each model's place) and hetero
        atoms.
        """
        in_caps = {site for _, cap in self._caps for _, _, site in cap.atoms}
        left = np.argwhere(protein.mask & ~self.included[:, None])
        left = left[np.array([tuple(site) not in in_caps for site in left.tolist()], np.bool_)]
        inside = in_caps | {Site(-1, one.hetero) for one in self.riders}
        carried = [h for k, h in enumerate(protein.hetero) if (-1, k) not in inside]
        hetero = np.array([h.position for h in carried], dtype=np.float64).reshape(-1, 3)
        points = np.concatenate((protein.coords[0][left[:, 0], left[:, 1]].astype(np.float64), hetero))
        symbols = [ATOM14[protein.sequence[i]][k][0] for i, k in left] + [h.element for h in carried]
        own = protein.coords[0][protein.mask & self.included[:, None]].astype(np.float64)
        reach = np.full(len(points), _HETERO_REACH)
        reach[len(left) :][[is_water(h.residue_name) for h in carried]] = _WATER_REACH
        near = cKDTree(own).query(points)[0] < reach if len(points) else np.zeros(0, dtype=np.bool_)
        self._left = left[near[: len(left)]]
        self._hetero = hetero[near[len(left) :]]
        self._obstacle_radii = radii(symbols)[near]

    def _obstacles(self, protein: Protein) -> NDArray[np.float64]:
        """Positions (H, 3) in Å of the obstacles in this model."""
        return np.concatenate((protein.coords[0][self._left[:, 0], self._left[:, 1]].astype(np.float64), self._hetero))

    def _solvent(self, nonbonded: openmm.NonbondedForce) -> openmm.GBSAOBCForce:
        """OBC solvent by OpenMM's native force (several times faster on CPU than the custom one of
        implicit/obc2.xml).
        """
        force = openmm.GBSAOBCForce()
        force.setNonbondedMethod(openmm.GBSAOBCForce.CutoffNonPeriodic)
        force.setCutoffDistance(_CUTOFF_NM)
        force.setSurfaceAreaEnergy(0.0)
        force.setForceGroup(SOLVENT)
        polar = {h.index for a, b in self.topology.bonds() for h, n in ((a, b), (b, a)) if n.element.symbol == "N"}
        for atom in self.topology.atoms():
            radius, scale = _GB[atom.element.symbol]
            if atom.element.symbol == "H" and atom.index in polar:
                radius = _GB_POLAR_HYDROGEN
            force.addParticle(nonbonded.getParticleParameters(atom.index)[0], radius * NM_PER_ANGSTROM, scale)
        return force

    def _add_obstacles(
        self, nonbonded: openmm.NonbondedForce, solvent: openmm.GBSAOBCForce | None, protein: Protein
    ) -> None:
        """Obstacles as fixed uncharged particles that do not feel one another."""
        obstacles = self._obstacles(protein)
        first = self.system.getNumParticles()
        for radius in self._obstacle_radii:
            self.system.addParticle(0.0)
            nonbonded.addParticle(0.0, 2 * 0.9 * radius * NM_PER_ANGSTROM / 2 ** (1 / 6), 0.1 * KJ_PER_KCAL)
            if solvent is not None:
                solvent.addParticle(0.0, 0.05, 1e-3)
        if len(obstacles):
            for a, b in cKDTree(obstacles).query_pairs(3.0, output_type="ndarray"):
                nonbonded.addException(first + int(a), first + int(b), 0.0, 0.1, 0.0)

    def _ignore_fixed_pairs(self, nonbonded: openmm.NonbondedForce, protein: Protein) -> None:
        """No forces between close atoms that cannot move: what is held is bonded there, to a metal, a sugar or the
        other end of a cycle, and its repulsion would drown the energies of what moves.
        """
        fixed = np.array([self.system.getParticleMass(n)._value == 0.0 for n in range(self.system.getNumParticles())])
        index = np.flatnonzero(fixed)
        if not len(index):
            return
        pairs = cKDTree(self.positions(protein)[index]).query_pairs(_FIXED_PAIR, output_type="ndarray")
        for a, b in index[pairs].tolist():
            nonbonded.addException(a, b, 0.0, 0.1, 0.0, replace=True)


@functools.cache
def _amber14(*, phosphates: bool = False) -> app.ForceField:
    """The protein force field, read once a process; with phosphorylated residues it is the same under other names."""
    return app.ForceField(*(phosphate_files() if phosphates else ("amber14/protein.ff14SB.xml",)))


def _included(protein: Protein) -> NDArray[np.bool_]:
    """Residues (L,) that have all heavy atoms and a bonded neighbour that has them too."""
    complete = np.array([bool(protein.mask[i, : len(ATOM14[aa])].all()) for i, aa in enumerate(protein.sequence)])
    joined = protein.bonded[:-1] & complete[:-1] & complete[1:]
    out = np.zeros(len(protein), dtype=np.bool_)
    out[:-1] |= joined
    out[1:] |= joined
    return out


def _heavy_topology(
    protein: Protein, included: NDArray[np.bool_], ends: dict[Site, Cap], riders: Sequence[Rider] = ()
) -> tuple[app.Topology, NDArray[np.float64]]:
    """OpenMM topology of the included residues' heavy atoms, a chain for each bonded stretch with the caps at its ends,
    and positions (A, 3) in Å.
    """
    topology = app.Topology()
    position: list[NDArray[np.float64]] = []
    atoms: dict[Site, app.topology.Atom] = {}
    chain = None
    rings = closed(protein, included)
    open_ends = {i for i, _ in rings}
    modified: dict[Site, app.topology.Atom] = {}

    def add_cap(site: Site) -> bool:
        cap = ends.get(site)
        if cap is not None:
            residue = topology.addResidue(cap.name, chain, _cap_id(site))
            for (name, element, _), place in zip(cap.atoms, cap.positions(protein), strict=True):
                topology.addAtom(name, app.Element.getBySymbol(element), residue)
                position.append(place)
        return cap is not None

    for i in np.nonzero(included)[0].tolist():
        if i == 0 or not (protein.bonded[i - 1] and included[i - 1]):
            chain = topology.addChain()
            add_cap(Site(i, 0))
        residue = topology.addResidue(ONE_TO_THREE[protein.sequence[i]], chain)
        for k, name in enumerate(ATOM14[protein.sequence[i]]):
            atoms[Site(i, k)] = topology.addAtom(name, app.Element.getBySymbol(name[0]), residue)
            position.append(protein.coords[0, i, k].astype(np.float64))
        for rider in (one for one in riders if one.residue == i):
            atom = protein.hetero[rider.hetero]
            element = app.Element.getBySymbol(atom.element)
            modified[Site(-1, rider.hetero)] = topology.addAtom(rider.name, element, residue)
            position.append(np.array(atom.position))
        if protein.bonded[i] and included[i + 1]:
            continue
        if i not in open_ends and not add_cap(Site(i, 2)):
            topology.addAtom("OXT", app.element.oxygen, residue)
            backbone = protein.coords[0, i, :4].astype(np.float64)
            position.append(protein.oxt[0, i].astype(np.float64) if protein.oxt_mask[i] else place_oxt(*backbone))
    topology.createStandardBonds()
    for rider in riders:  # under their own names OpenMM would not know the bonds of these residues
        own = modified[Site(-1, rider.hetero)]
        topology.addBond(atoms.get(rider.parent) or modified[rider.parent], own)
        own.residue.name = rider.group.template_of(protein.hetero[rider.hetero].residue_name)
    for i, j in rings:
        topology.addBond(atoms[Site(i, 2)], atoms[Site(j, 0)])
    sulfur = ATOM14["C"].index("SG")
    for pair in disulfide_pairs(protein):
        first, second = (atoms.get(Site(i, sulfur)) for i in pair)
        if first is not None and second is not None:
            topology.addBond(first, second)
    return topology, separated(np.array(position), np.zeros((0, 3)))


def _cap_id(site: Site) -> str:
    """What a cap is known by in a topology."""
    return f"cap {site.residue} {site.slot}"


def separated(x: NDArray[np.float64], fixed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions with atoms closer than 0.05 Å to another or to ``fixed`` shifted by a fixed pattern of about 0.1 Å."""
    everything = np.concatenate((x, fixed))
    pairs = cKDTree(everything).query_pairs(0.05, output_type="ndarray")
    out = x.copy()
    for n in sorted(set(itertools.chain.from_iterable(pairs.tolist()))):
        if n < len(x):
            out[n] += 0.1 * np.array([np.cos(2.4 * n), np.sin(2.4 * n), np.cos(1.7 * n)])
    return out
