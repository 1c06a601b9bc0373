"""Numbers and names of protein chemistry that more than one stage needs.

Units: Å, radians, kcal/mol, kelvin. Ideal backbone geometry: Engh & Huber (1991), International Tables F.
"""

from __future__ import annotations

import math

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
"""One-letter codes in the order of every 20-way output of the networks."""

THREE_TO_ONE = {
    "ALA": "A", "CYS": "C", "ASP": "D", "GLU": "E", "PHE": "F", "GLY": "G", "HIS": "H", "ILE": "I",
    "LYS": "K", "LEU": "L", "MET": "M", "ASN": "N", "PRO": "P", "GLN": "Q", "ARG": "R", "SER": "S",
    "THR": "T", "VAL": "V", "TRP": "W", "TYR": "Y",
}  # fmt: skip
ONE_TO_THREE = {one: three for three, one in THREE_TO_ONE.items()}

BACKBONE_ATOMS = ("N", "CA", "C", "O")

SIDE_CHAIN_ATOMS: dict[str, tuple[str, ...]] = {
    "A": ("CB",),
    "C": ("CB", "SG"),
    "D": ("CB", "CG", "OD1", "OD2"),
    "E": ("CB", "CG", "CD", "OE1", "OE2"),
    "F": ("CB", "CG", "CD1", "CD2", "CE1", "CE2", "CZ"),
    "G": (),
    "H": ("CB", "CG", "ND1", "CD2", "CE1", "NE2"),
    "I": ("CB", "CG1", "CG2", "CD1"),
    "K": ("CB", "CG", "CD", "CE", "NZ"),
    "L": ("CB", "CG", "CD1", "CD2"),
    "M": ("CB", "CG", "SD", "CE"),
    "N": ("CB", "CG", "OD1", "ND2"),
    "P": ("CB", "CG", "CD"),
    "Q": ("CB", "CG", "CD", "OE1", "NE2"),
    "R": ("CB", "CG", "CD", "NE", "CZ", "NH1", "NH2"),
    "S": ("CB", "OG"),
    "T": ("CB", "OG1", "CG2"),
    "V": ("CB", "CG1", "CG2"),
    "W": ("CB", "CG", "CD1", "CD2", "NE1", "CE2", "CE3", "CZ2", "CZ3", "CH2"),
    "Y": ("CB", "CG", "CD1", "CD2", "CE1", "CE2", "CZ", "OH"),
}

SIDE_CHAIN_SLOTS = max(map(len, SIDE_CHAIN_ATOMS.values()))
"""Side-chain heavy atoms of the largest residue, tryptophan: 10."""

ATOM14: dict[str, tuple[str, ...]] = {aa: BACKBONE_ATOMS + side for aa, side in SIDE_CHAIN_ATOMS.items()}
"""Heavy atoms of each residue in the order of the 14 slots of ``Protein.coords`` (OXT is kept apart)."""

CHI_ATOMS: dict[str, tuple[tuple[str, str, str, str], ...]] = {
    aa: tuple((names[k], names[k + 1], names[k + 2], names[k + 3]) for k in range(len(names) - 3))
    for aa, names in {
        "A": (),
        "C": ("N", "CA", "CB", "SG"),
        "D": ("N", "CA", "CB", "CG", "OD1"),
        "E": ("N", "CA", "CB", "CG", "CD", "OE1"),
        "F": ("N", "CA", "CB", "CG", "CD1"),
        "G": (),
        "H": ("N", "CA", "CB", "CG", "ND1"),
        "I": ("N", "CA", "CB", "CG1", "CD1"),
        "K": ("N", "CA", "CB", "CG", "CD", "CE", "NZ"),
        "L": ("N", "CA", "CB", "CG", "CD1"),
        "M": ("N", "CA", "CB", "CG", "SD", "CE"),
        "N": ("N", "CA", "CB", "CG", "OD1"),
        "P": ("N", "CA", "CB", "CG", "CD"),
        "Q": ("N", "CA", "CB", "CG", "CD", "OE1"),
        "R": ("N", "CA", "CB", "CG", "CD", "NE", "CZ"),
        "S": ("N", "CA", "CB", "OG"),
        "T": ("N", "CA", "CB", "OG1"),
        "V": ("N", "CA", "CB", "CG1"),
        "W": ("N", "CA", "CB", "CG", "CD1"),
        "Y": ("N", "CA", "CB", "CG", "CD1"),
    }.items()
}
"""Atoms of the side-chain torsions χ1, χ2, … of each residue (IUPAC 1970; arginine's χ5 is planar and left out)."""

CHI_PERIOD_180 = {("D", 1), ("E", 2), ("F", 1), ("Y", 1)}
"""(residue, 0-based χ index) of torsions whose end is symmetric, so that χ and χ + 180° are the same conformation."""

# Ideal backbone geometry (Engh & Huber 1991).
BOND_N_CA = 1.458
BOND_CA_C = 1.525
BOND_C_N = 1.329
BOND_C_O = 1.231
ANGLE_N_CA_C = math.radians(111.0)
ANGLE_CA_C_N = math.radians(117.2)
ANGLE_C_N_CA = math.radians(121.7)
ANGLE_CA_C_O = math.radians(120.1)
ANGLE_N_C_O = math.radians(122.7)

MAX_PEPTIDE_BOND = 2.0
"""C–N distance in Å up to which consecutive residues of a chain count as bonded; beyond it lies a chain break.

Wide on purpose: predicted and threaded models carry stretched bonds that refinement must be allowed to close.
"""

MAX_STRETCHED_PEPTIDE = 3.0
"""C–N distance in Å up to which residues of consecutive numbers count as bonded: nothing fits in between, no contact of
atoms that are not bonded is as close, and a user who numbers on means one chain.
"""

MAX_CA_CA = 4.3
"""CA–CA distance in Å up to which residues count as joined by a peptide where C and N do not tell."""

BOLTZMANN = 0.0019872041
"""kcal/(mol K)."""

DEVICES = ("auto", "cpu", "cuda")
"""Where networks and propagation may run; ``auto`` is a GPU when there is one."""
OPENMM_DEVICES = ("auto", "cpu", "cuda", "opencl")
"""Where OpenMM may run; ``auto`` is the first of CUDA, OpenCL and CPU that works."""
B_COLUMNS = ("score", "error", "b")
"""What the B column of a model may hold: confidence 0–100, predicted error in Å, or B factor in Å²."""

WATERS = frozenset("HOH WAT DOD H2O SOL TIP TIP3 TP3 TIP4 TIP5 SPC SPCE OH2".split())
"""Residue names of water in deposited files and in those of simulation programs."""
