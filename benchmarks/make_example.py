"""Make the example model: PDB entry 1A8O (CC0) with its backbone bent the way predicted models are.

Each peptide plane is turned about its CA–CA axis (psi of one residue against phi of the next, 12° standard deviation),
and each phi and psi gets 3.5° of independent noise that adds up along the chain; χ1 and χ2 get 15°. Bond lengths and
angles stay those of the crystal. The first draw with a CA RMSD of 2.0 to 2.6 Å and no two CA below 3.6 Å is kept;
nothing is chosen with an eye on what refine does to it. Selenomethionine becomes methionine, waters are left out.

    python benchmarks/make_example.py 1A8O.pdb examples/

The entry's file lies in Biopython's source distribution under Tests/PDB.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
from Bio.PDB import PDBIO, PDBParser, Structure, Superimposer
from Bio.PDB.Atom import Atom
from Bio.PDB.Residue import Residue
from Bio.PDB.vectors import Vector, rotaxis

SEED = 0
CRANKSHAFT, DRIFT, CHI = np.radians([12.0, 3.5, 15.0])


def methionine(residue: Residue) -> None:
    """Rename selenomethionine in place, as the PDB's own parent component says."""
    residue.resname, residue.id = "MET", (" ", *residue.id[1:])
    if "SE" in residue:
        old = residue["SE"]
        residue.detach_child("SE")
        residue.add(Atom("SD", old.coord, old.bfactor, old.occupancy, " ", " SD ", old.serial_number, "S"))


def native(path: Path) -> Structure.Structure:
    """The chain of ``path`` with standard residues only."""
    structure = PDBParser(QUIET=True).get_structure("1a8o", path)
    for chain in structure[0]:
        for residue in list(chain):
            if residue.resname == "MSE":
                methionine(residue)
            elif residue.id[0] != " ":
                chain.detach_child(residue.id)
    return structure


def turn(atoms: list[Atom], origin: Atom, end: Atom, angle: float) -> None:
    """Turn ``atoms`` about the bond ``origin`` → ``end``."""
    rotation = rotaxis(angle, Vector(end.coord - origin.coord))
    for atom in atoms:
        atom.coord = (rotation @ (atom.coord - origin.coord)) + origin.coord


def perturb(structure: Structure.Structure, rng: np.random.Generator) -> None:
    """Bend ``structure`` in place."""
    residues = list(structure.get_residues())
    crank = rng.normal(0.0, CRANKSHAFT, len(residues))
    drift = rng.normal(0.0, DRIFT, (len(residues), 2))
    chi = rng.normal(0.0, CHI, (len(residues), 2))
    for i, residue in enumerate(residues):
        later = [a for r in residues[i + 1 :] for a in r]
        side = [a for a in residue if a.id not in ("N", "CA", "C", "O", "OXT")]
        if residue.resname != "PRO":
            tip = [residue[k] for k in ("C", "O", "OXT") if k in residue]
            turn(side + tip + later, residue["N"], residue["CA"], drift[i, 0] - (crank[i - 1] if i else 0.0))
        turn([residue["O"], *later], residue["CA"], residue["C"], drift[i, 1] + crank[i])
        if residue.resname in ("PRO", "GLY", "ALA"):
            continue
        turn([a for a in side if a.id != "CB"], residue["CA"], residue["CB"], chi[i, 0])
        if "CG" in residue:
            turn([a for a in side if a.id not in ("CB", "CG")], residue["CB"], residue["CG"], chi[i, 1])


def ca_rmsd(model: Structure.Structure, fixed: Structure.Structure) -> float:
    """CA RMSD in Å after superposition, which is applied to ``model``."""
    fit = Superimposer()
    fit.set_atoms([r["CA"] for r in fixed.get_residues()], [r["CA"] for r in model.get_residues()])
    fit.apply(list(model.get_atoms()))
    return float(fit.rms)


def closest_ca(model: Structure.Structure) -> float:
    """Least CA–CA distance in Å."""
    ca = np.array([r["CA"].coord for r in model.get_residues()])
    distances = np.linalg.norm(ca[:, None] - ca[None], axis=-1) + 99 * np.eye(len(ca))
    return float(distances.min())


def main(source: Path, out: Path) -> None:
    fixed, rng = native(source), np.random.default_rng(SEED)
    while True:
        model = copy.deepcopy(fixed)
        perturb(model, rng)
        rmsd = ca_rmsd(model, fixed)
        if 2.0 <= rmsd <= 2.6 and closest_ca(model) > 3.6:
            break
    for atom in model.get_atoms():
        atom.bfactor = 0.0
    for name, structure in (("1a8o_native.pdb", fixed), ("1a8o_model.pdb", model)):
        writer = PDBIO()
        writer.set_structure(structure)
        writer.save(str(out / name))
    sys.stdout.write(f"CA RMSD {rmsd:.2f} Å\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
