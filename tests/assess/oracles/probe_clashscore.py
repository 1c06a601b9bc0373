"""Clashscore by the Probe code of cctbx, hydrogens by hydride: makes oracles/clashscore.csv. Not run by the tests.

    python -m venv oracle && oracle/bin/pip install cctbx-base==2025.11 hydride==1.2.3 biotite
    oracle/bin/python probe_clashscore.py ../shared/bench refined150-dev/101m_/native.pdb … > clashscore.csv

What it is: cctbx's DotScorer (the C++ of probe2) decides every surface dot, with its default limits, and pairs of atoms
with a dot of bad overlap are counted as in mmtbx.validation.clashscore2. What it is not: MolProbity's own clashscore,
because Reduce2 needs a monomer library that is on no package registry. Hydrogens come from hydride (groups on N, O and
S turned to their best place), then X-H bonds are set to electron-cloud lengths and radii to MolProbity's.
"""

# cctbx must be imported before numpy: its libraries crash the other way round.
import boost_adaptbx.boost.python as bp
from iotbx import pdb as iotbx_pdb

bp.import_ext("mmtbx_probe_ext")
import io  # noqa: E402
import sys  # noqa: E402
from collections import defaultdict  # noqa: E402
from pathlib import Path  # noqa: E402

import biotite.structure as struc  # noqa: E402
import biotite.structure.io.pdb as pdb  # noqa: E402
import hydride  # noqa: E402
import mmtbx_probe_ext as probe  # noqa: E402
import numpy as np  # noqa: E402

RADIUS = {"C": 1.70, "N": 1.55, "O": 1.40, "S": 1.80, "H": 1.22}
LENGTH = {"N": 0.86, "O": 0.84, "S": 1.20}
AROMATIC = {
    "PHE": "CG CD1 CD2 CE1 CE2 CZ",
    "TYR": "CG CD1 CD2 CE1 CE2 CZ",
    "HIS": "CG CD2 CE1",
    "TRP": "CG CD1 CD2 CE2 CE3 CZ2 CZ3 CH2",
}
PI_ACCEPTORS = {"PHE": "CG CD1 CD2 CE1 CE2 CZ", "TYR": "CG CD1 CD2 CE1 CE2 CZ", "TRP": "CD2 CE2 CE3 CZ2 CZ3 CH2"}
CARBONYL = {"ASP": "CG", "ASN": "CG", "GLU": "CD", "GLN": "CD"}
CHARGE = {("ASP", "OD1"): -1, ("ASP", "OD2"): -1, ("GLU", "OE1"): -1, ("GLU", "OE2"): -1, ("LYS", "NZ"): 1} | {
    ("ARG", n): 1 for n in ("NE", "NH1", "NH2")
}


def hydrogenated(path: Path) -> struc.AtomArray:
    lines = path.read_text().splitlines()
    padded = [
        f"{line[:60]:<60}{line[60:66].strip() or '0.00':>6}{line[66:]}" if line.startswith("ATOM") else line
        for line in lines
    ]
    atoms = pdb.PDBFile.read(io.StringIO("\n".join(padded))).get_structure(model=1, altloc="occupancy")
    atoms = atoms[struc.filter_canonical_amino_acids(atoms) & (atoms.element != "H") & (atoms.element != "D")]
    atoms.bonds = struc.connect_via_residue_names(atoms)
    sulfurs = np.flatnonzero((atoms.res_name == "CYS") & (atoms.atom_name == "SG"))
    for k, i in enumerate(sulfurs):
        for j in sulfurs[k + 1 :]:
            if np.linalg.norm(atoms.coord[i] - atoms.coord[j]) < 2.5:
                atoms.bonds.add_bond(int(i), int(j), struc.BondType.SINGLE)
    atoms.set_annotation("charge", hydride.estimate_amino_acid_charges(atoms, ph=7.0))
    full, _ = hydride.add_hydrogen(atoms)
    # As Reduce does: ammonium, hydroxyl and thiol groups turn, methyl groups stay staggered.
    turning = np.isin(full.element, ["N", "O", "S"])
    full.coord = hydride.relax_hydrogen(full, mask=turning)
    for a, b, _ in full.bonds.as_array():
        parent, h = (a, b) if full.element[b] == "H" else (b, a)
        if full.element[h] == "H":
            ring = full.atom_name[parent] in AROMATIC.get(full.res_name[parent], "").split()
            length = 0.93 if ring else LENGTH.get(full.element[parent], 0.97)
            direction = full.coord[h] - full.coord[parent]
            full.coord[h] = full.coord[parent] + direction * (length / np.linalg.norm(direction))
    return full


def clashscore(atoms: struc.AtomArray) -> tuple[float, int, int]:
    neighbours = defaultdict(list)
    for a, b, _ in atoms.bonds.as_array():
        neighbours[a].append(b)
        neighbours[b].append(a)
    hierarchy_atoms, extras = [], []
    for k in range(len(atoms)):
        element, name, residue = atoms.element[k], atoms.atom_name[k], atoms.res_name[k]
        atom = iotbx_pdb.hierarchy.atom()
        atom.xyz, atom.occ, atom.element, atom.name = tuple(map(float, atoms.coord[k])), 1.0, f"{element:>2}", name
        hierarchy_atoms.append(atom)
        info = probe.ExtraAtomInfo()
        parent = neighbours[k][0] if element == "H" else k
        ring = atoms.atom_name[parent] in AROMATIC.get(residue, "").split()
        polar = element == "H" and atoms.element[parent] != "C"
        info.vdwRadius = 1.05 if element == "H" and (polar or ring) else RADIUS[element]
        if name == "C" or name == CARBONYL.get(residue):
            info.vdwRadius = 1.65
        bare_imidazole = (
            residue == "HIS" and name in ("ND1", "NE2") and all(atoms.element[n] != "H" for n in neighbours[k])
        )
        info.isAcceptor = bool(element == "O" or bare_imidazole or name in PI_ACCEPTORS.get(residue, "").split())
        info.isDonor = bool(polar)
        info.charge = int(CHARGE.get((residue, atoms.atom_name[parent]), -1 if name == "OXT" else 0))
        extras.append(info)
    root = iotbx_pdb.hierarchy.root()
    model, chain, group = iotbx_pdb.hierarchy.model(), iotbx_pdb.hierarchy.chain(), iotbx_pdb.hierarchy.residue_group()
    atom_group = iotbx_pdb.hierarchy.atom_group()
    root.append_model(model)
    model.append_chain(chain)
    chain.append_residue_group(group)
    group.append_atom_group(atom_group)
    for atom in hierarchy_atoms:
        atom_group.append_atom(atom)
    listed = root.atoms()
    listed.reset_i_seq()
    scorer = probe.DotScorer(probe.ExtraAtomInfoMap(listed, extras))
    spheres, query = probe.DotSphereCache(16.0), probe.SpatialQuery(listed)
    pairs = set()
    hydrogen = atoms.element == "H"
    for k in range(len(atoms)):
        excluded, frontier = {k}, {k}
        for depth in range(4):
            frontier = {
                n
                for a in frontier
                for n in neighbours[a]
                if n not in excluded and (depth < 3 or hydrogen[k] or hydrogen[n])
            }
            excluded |= frontier
        near = [a for a in query.neighbors(listed[k].xyz, 1e-5, extras[k].vdwRadius + 2.0) if a.i_seq not in excluded]
        shut = [listed[int(n)] for n in excluded if n != k]
        for dot in spheres.get_sphere(extras[k].vdwRadius).dots():
            result = scorer.check_dot(listed[k], dot, 0.25, near, shut, 0.5)
            if scorer.interaction_type(result.overlapType, result.gap) == probe.InteractionType.Bump:
                pairs.add(tuple(sorted((k, result.cause.i_seq))))
    return 1000 * len(pairs) / len(atoms), len(pairs), len(atoms)


def main() -> None:
    root = Path(sys.argv[1])
    print("structure,clashscore,clashes,atoms")
    for name in sys.argv[2:]:
        score, count, size = clashscore(hydrogenated(root / name))
        print(f"{name},{score:.2f},{count},{size}", flush=True)


if __name__ == "__main__":
    main()
