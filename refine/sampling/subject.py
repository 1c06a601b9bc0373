"""What is simulated: a peptide of a sequence, or a model with all or some of its residues free; and its structures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import gemmi
import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app

from refine.constants import THREE_TO_ONE
from refine.errors import InputError
from refine.files import write_text
from refine.physics.dynamics import peptide_system
from refine.physics.forcefield import ForceFieldSystem
from refine.physics.forces import BIAS, BONDED, NONBONDED, SOLVENT
from refine.physics.peptide import peptide
from refine.structure.arrays import superpose, transformed
from refine.structure.prepare import Prepared
from refine.structure.protein import Protein, ResidueId
from refine.structure.read import read_structure
from refine.structure.selection import parse_selection
from refine.structure.write import fits_pdb, write_cif, write_ensemble_pdb, write_pdb

MOST_ATOMS = 20_000


class Subject:
    """What is simulated, once: an exploration adds its biases to the system.

    Attributes:
        name: short; topology, system: of OpenMM; start: (n, 3) Å of all particles.
        labels: author identity of each residue of the topology, None of caps that stand for what is not simulated.
        groups: force groups that act, None for all; force_field: in words.
    """

    name: str
    topology: app.Topology
    system: openmm.System
    start: NDArray[np.float64]
    labels: tuple[ResidueId | None, ...]
    groups: frozenset[int] | None
    force_field: str

    def write(self, frames: NDArray[np.floating], path: Path, remarks: Sequence[str] = ()) -> None:
        """Write frames (F, n, 3) Å as MODELs of a PDB file, in the frame of the start."""
        raise NotImplementedError

    def placed(self, path: Path) -> NDArray[np.float64]:
        """Positions (n, 3) Å of the subject's heavy atoms in another structure file, NaN of those it lacks.

        Raises:
            InputError: the file cannot be read, or is of something else.
        """
        raise NotImplementedError

    def writers(self, frame: NDArray[np.floating], remarks: Sequence[str]) -> dict[str, Callable[[Path], None]]:
        """What writes one frame (n, 3) Å, by format: ``pdb``, and ``cif`` where the subject has that."""
        raise NotImplementedError


class PeptideSubject(Subject):
    """A peptide of a sequence such as ``ACE-ALA-NME``; all atoms are written, hydrogens too.

    Raises:
        InputError: the sequence cannot be read; EngineError: OpenMM cannot set it up.
    """

    def __init__(self, sequence: str) -> None:
        built = peptide(sequence)
        self.name, self.topology, self.start = sequence, built.topology, built.positions
        self.system, self.groups = peptide_system(built.topology), None
        self.labels = tuple(ResidueId("A", int(residue.id)) for residue in built.topology.residues())
        self.force_field = "ff99SB-ILDN with OBC solvent (amber99sbildn, amber99_obc), no cutoff"

    def write(self, frames: NDArray[np.floating], path: Path, remarks: Sequence[str] = ()) -> None:
        structure = gemmi.Structure()
        structure.raw_remarks = [f"REMARK  99 {text}" for text in remarks]
        heavy = [atom.index for atom in self.topology.atoms() if atom.element.symbol != "H"]
        for number, frame in enumerate(frames, start=1):
            x = transformed(frame, *superpose(frame[heavy], self.start[heavy]))
            structure.add_model(self._model(number, x))
        structure.setup_entities()
        text = structure.make_pdb_string(gemmi.PdbWriteOptions(cryst1_record=False, seqres_records=False))
        if len(frames) == 1:
            text = "".join(t for t in text.splitlines(True) if not t.startswith(("MODEL", "ENDMDL")))
        *records, end = text.splitlines(True)
        write_text(path, "".join((*records, *self._cap_bonds(), end)))

    def writers(self, frame: NDArray[np.floating], remarks: Sequence[str]) -> dict[str, Callable[[Path], None]]:
        return {"pdb": lambda path: self.write(frame[None], path, remarks)}

    def placed(self, path: Path) -> NDArray[np.float64]:
        try:
            structure = gemmi.read_structure(str(path))
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"cannot read the structure: {error}", file=str(path), remedy="Check the path") from error
        given = [residue for chain in structure[0] for residue in chain] if len(structure) else []
        own = list(self.topology.residues())
        if [residue.name for residue in given] != [residue.name for residue in own]:
            raise InputError(
                f"the file holds {'-'.join(r.name for r in given[:20]) or 'no residue'}",
                file=str(path),
                remedy=f"Give a structure of {self.name}, caps included",
            )
        positions = np.full((self.topology.getNumAtoms(), 3), np.nan)
        for there, here in zip(given, own, strict=True):
            for atom in here.atoms():
                if atom.name in there:
                    positions[atom.index] = there[atom.name][0].pos.tolist()
        return positions

    def _cap_bonds(self) -> list[str]:
        """CONECT records of the bonds of caps to the chain, which viewers do not draw by themselves."""
        pairs = [
            (a.index + 1, b.index + 1)
            for a, b in self.topology.bonds()
            if a.residue is not b.residue and {a.residue.name, b.residue.name} - THREE_TO_ONE.keys()
        ]
        return [f"CONECT{a:5d}{b:5d}\nCONECT{b:5d}{a:5d}\n" for a, b in pairs]

    def _model(self, number: int, x: NDArray[np.float64]) -> gemmi.Model:
        model, chain = gemmi.Model(number), gemmi.Chain("A")
        for residue in self.topology.residues():
            new = gemmi.Residue()
            new.name, new.seqid = residue.name, gemmi.SeqId(int(residue.id), " ")
            new.het_flag = "A"  # caps too: viewers bond no HETATM to the chain
            for atom in residue.atoms():
                one = gemmi.Atom()
                one.name, one.element = atom.name, gemmi.Element(atom.element.symbol)
                one.pos = gemmi.Position(*x[atom.index].tolist())
                new.add_atom(one)
            chain.add_residue(new)
        model.add_chain(chain)
        return model


class ModelSubject(Subject):
    """A model of a protein; heavy atoms are written, with numbering, chains and hetero atoms of the input.

    Args:
        prepared: the input.
        loop: residues that are free, as ``parse_selection`` reads them; empty for all. The others are at rest.
        around: Å from a CA of the free residues, within which others are simulated; the rest is left out.

    Raises:
        InputError: the selection cannot be used, or there are too many atoms; EngineError: OpenMM cannot set it up.
    """

    def __init__(self, prepared: Prepared, loop: str = "", around: float = 16.0) -> None:
        self._protein, mobile = prepared.protein.replica(0), prepared.mobile.copy()
        unfit = fits_pdb(self._protein)
        if unfit:
            raise InputError(
                f"explorations are written as PDB files, which this model does not fit: {unfit}",
                file=str(prepared.path),
                remedy="Give it chain ids of one letter and small numbers",
            )
        keep = np.arange(len(self._protein))
        if loop:
            mobile &= parse_selection(loop, self._protein)
            keep = _around(self._protein, mobile, around)
        if not mobile.any():
            raise InputError(
                "no residue is free to move", file=str(prepared.path), remedy="Give another --loop or --freeze"
            )
        self._keep, self._part = keep, self._protein.select(keep)
        self._anchored = not mobile[keep].all()
        self._forcefield = ForceFieldSystem(self._part, mobile[keep], dynamic=True)
        self._forcefield.add_solvent()
        self.system, self.topology = self._forcefield.system, self._forcefield.topology
        if self.system.getNumParticles() > MOST_ATOMS:
            raise InputError(
                f"the simulation would have {self.system.getNumParticles():,} atoms",
                file=str(prepared.path),
                remedy=f"{MOST_ATOMS:,} are the most; free a part of it with --loop",
            )
        self.name, self.start = self._protein.name, self._forcefield.positions(self._part)
        self.groups = frozenset((BONDED, NONBONDED, SOLVENT, BIAS))
        self.labels = tuple(self._labels())
        self.force_field = "ff14SB with OBC solvent, cutoff 10 Å"

    def write(self, frames: NDArray[np.floating], path: Path, remarks: Sequence[str] = ()) -> None:
        write_ensemble_pdb(self.protein(frames), path, remarks=remarks)

    def writers(self, frame: NDArray[np.floating], remarks: Sequence[str]) -> dict[str, Callable[[Path], None]]:
        protein = self.protein(frame[None])
        return {
            "pdb": lambda path: write_pdb(protein, path, remarks=remarks),
            "cif": lambda path: write_cif(protein, path),
        }

    def placed(self, path: Path) -> NDArray[np.float64]:
        second, part = read_structure(path).protein, self._part
        positions = np.full_like(self.start, np.nan)
        index = {residue: j for j, residue in enumerate(second.residue_ids)}
        for i, residue in enumerate(part.residue_ids):
            j = index.get(residue)
            if j is not None and second.sequence[j] == part.sequence[i]:
                particles = self._forcefield.particle[i, :14]
                both = second.mask[j] & (particles >= 0)
                positions[particles[both]] = second.coords[0, j][both]
        return positions

    def protein(self, frames: NDArray[np.floating]) -> Protein:
        """Frames (F, n, 3) Å as replicas of the input."""
        coords = np.repeat(self._protein.coords, len(frames), 0)
        oxt = np.repeat(self._protein.oxt, len(frames), 0)
        for k, x in enumerate(np.asarray(frames, np.float64)):
            part, ends = self._forcefield.coordinates(x, self._part)
            if not self._anchored:
                turn = superpose(part[:, 1], self._part.coords[0, :, 1])
                laid = transformed(part.reshape(-1, 3), *turn).reshape(part.shape)
                part = np.where(self._part.mask[..., None], laid, 0.0).astype(np.float32)
                ends = transformed(ends, *turn).astype(np.float32)
            coords[k, self._keep], oxt[k, self._keep] = part, ends
        return self._protein.with_coords(coords, oxt)

    def _labels(self) -> list[ResidueId | None]:
        """Author identity of each residue of the topology."""
        ids: list[ResidueId | None] = []
        for residue in self.topology.residues():
            i = int(self._forcefield.residue_of[next(residue.atoms()).index])
            ids.append(self._part.residue_ids[i] if i >= 0 else None)
        return ids


def _around(protein: Protein, free: NDArray[np.bool_], reach: float) -> NDArray[np.int64]:
    """Residues with a CA within ``reach`` Å of that of a free one."""
    ca = protein.coords[0, :, 1]
    apart = np.linalg.norm(ca[:, None] - ca[None, free], axis=2)
    return np.flatnonzero((apart < reach).any(1) | free)
