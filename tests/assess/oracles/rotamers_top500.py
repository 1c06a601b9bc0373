"""Rotamers by MolProbity's Top500 tables and the code of cctbx: makes oracles/rotamers.csv. Not run by the tests.

    python -m venv oracle && oracle/bin/pip install cctbx-base==2025.11
    npm pack moorhen@0.22.7 && tar xzf moorhen-0.22.7.tgz && tar xzf package/public/baby-gru/data.tar.gz
    cp package/public/baby-gru/rota500-*.data data/coot/rama-data
    oracle/bin/python rotamers_top500.py data/coot/rama-data ../shared/bench refined150-dev/101m_/native.pdb … >
    rotamers.csv

What it is: torsions by cctbx's SidechainAngles, looked up in the Top500 distributions of MolProbity (Lovell et al.
2000) by cctbx's NDimTable, which interpolates as MolProbity does; a side chain is an outlier below 1 %, MolProbity's
limit for these tables, and listed as allowed up to 2 %.
What it is not: today's molprobity.rotalyze, whose Top8000 tables (limit 0.3 %) are on no package registry.
"""

from __future__ import annotations

import sys
from pathlib import Path

from iotbx import pdb
from mmtbx.rotamer.n_dim_table import NDimTable
from mmtbx.rotamer.rotamer_eval import aminoAcids
from mmtbx.rotamer.sidechain_angles import SidechainAngles

OUTLIER, FAVOURED = 0.01, 0.02


def table(path: Path) -> NDimTable:
    with path.open() as handle:
        return NDimTable.createFromText(handle)


def verdicts(path: Path, tables: dict[str, NDimTable], angles: SidechainAngles) -> list[tuple[str, float]]:
    """Residue and the value of the table for every complete side chain of the first model."""
    found = []
    for chain in pdb.input(str(path)).construct_hierarchy(sort_atoms=False).models()[0].chains():
        for group in chain.residue_groups():
            residue = group.atom_groups()[0]
            aa = residue.resname.strip().lower()
            if aa not in aminoAcids:
                continue
            try:
                chi = angles.measureChiAngles(res=residue, atom_dict={a.name: a for a in residue.atoms()})
            except AttributeError:
                continue
            if chi is None or any(c is None for c in chi):
                continue
            if aa in ("asp", "glu", "phe", "tyr"):
                chi[-1] %= 180
            found.append((f"{chain.id.strip()}:{group.resseq.strip()}", tables[aa].valueAt(chi)))
    return found


def main() -> None:
    data, root, *names = sys.argv[1:]
    tables = {aa: table(Path(data) / f"rota500-{name}.data") for aa, name in aminoAcids.items()}
    angles = SidechainAngles(True)
    print("# rotamers_top500.py (its docstring says what this oracle is): cctbx-base 2025.11, tables of moorhen 0.22.7")
    print("structure,side_chains,outliers,allowed")
    for name in names:
        found = verdicts(Path(root) / name, tables, angles)
        bad = [residue for residue, value in found if value < OUTLIER]
        allowed = [residue for residue, value in found if OUTLIER <= value < FAVOURED]
        print(f"{name},{len(found)},{' '.join(bad)},{' '.join(allowed)}")


if __name__ == "__main__":
    main()
