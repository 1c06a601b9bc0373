"""Makes the structures of this folder, and wwpdb.csv, from entries of the Protein Data Bank (which is CC0).

    pip download --no-deps --no-binary :all: biopython==1.88 && tar xzf biopython-1.88.tar.gz
    python tests/data/make.py biopython-1.88/Tests/PDB

Kept are the heavy atoms of one protein chain, first alternative places only, under the author's numbering:
1a7g (82 residues, X-ray, 2.4 Å), 4cup (115, X-ray, 1.88 Å), 1lcd (51, solution NMR of 1993, three models).
wwpdb.csv has the torsions that the wwPDB's own validation lists as outliers in these entries.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import gemmi

CHAINS = {"1A7G": "E", "4CUP": "A", "1LCD": "A"}
FOLDER = Path(__file__).resolve().parent


def protein_chain(source: gemmi.Structure, name: str) -> gemmi.Structure:
    """The heavy protein atoms of chain ``name`` in every model."""
    source.remove_hydrogens()
    source.remove_alternative_conformations()
    out = gemmi.Structure()
    out.spacegroup_hm = "P 1"
    for number, model in enumerate(source, start=1):
        kept = gemmi.Chain(name)
        for residue in model[name].get_polymer():
            for atom in residue:
                atom.aniso = gemmi.SMat33f(0, 0, 0, 0, 0, 0)
            kept.add_residue(residue)
        copy = gemmi.Model(number)
        copy.add_chain(kept)
        out.add_model(copy)
    return out


def torsion_outliers(block: gemmi.cif.Block, chain: str) -> list[list[str]]:
    """Model, residue number, phi and psi of the rows of _pdbx_validate_torsion."""
    tags = ["PDB_model_num", "auth_asym_id", "auth_seq_id", "phi", "psi"]
    rows = block.find("_pdbx_validate_torsion.", tags)
    return [[row[0], row[2], row[3], row[4]] for row in rows if row[1] == chain]


def main() -> None:
    entries = Path(sys.argv[1])
    options = gemmi.PdbWriteOptions(minimal=True)
    with (FOLDER / "wwpdb.csv").open("w", newline="", encoding="utf-8") as handle:
        handle.write("# make.py: _pdbx_validate_torsion of the entries, degrees\n")
        table = csv.writer(handle, lineterminator="\n")
        table.writerow(["structure", "model", "residue", "phi", "psi"])
        for entry, chain in CHAINS.items():
            source = gemmi.read_structure(str(entries / f"{entry}.cif"))
            source.setup_entities()
            protein_chain(source, chain).write_pdb(str(FOLDER / f"{entry.lower()}.pdb"), options)
            block = gemmi.cif.read(str(entries / f"{entry}.cif")).sole_block()
            table.writerows([f"{entry.lower()}.pdb", *row] for row in torsion_outliers(block, chain))


if __name__ == "__main__":
    main()
