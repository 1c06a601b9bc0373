"""Makes the structures of bonded/ from entries of the Protein Data Bank and its chemical components (both CC0).

    pip download --no-deps --no-binary :all: biopython==1.88 && tar xzf biopython-1.88.tar.gz
    pip install biotite
    python tests/data/make_bonded.py biopython-1.88/Tests/PDB

Cut out of entries, heavy atoms, no records: zinc (7DDO A 366-408), glycan and disulfide (7DDO C 335-364), calcium (1GBT
66-84), dna (1LCD, first model), conotoxin (1AS5: three disulfides, hydroxyprolines, amide), lactam (2N0N: Lys NZ to
Glu CD, AIB, an unknown residue, amide). Onto 1A7G E 291-330, components in their ideal geometry are put where they are
bonded: haem, iron_sulphur, sugars (NAG-NAG-BMA), phosphoserine, caps; d_alanine is its Ala 302 reflected. zinc_cys4
and cycle are built by symmetry, the first of four peptides of it, the second of ten alanines. modified has
pyroglutamate, selenomethionine, selenocysteine, phosphotyrosine, acetyl- and pyridoxal-lysine in one chain; lanthionine
and selenium are the conotoxin with other bridges: Ala CB to Cys SG, and selenium in place of sulphur.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import biotite.structure.info as components
import gemmi
import numpy as np

FOLDER = Path(__file__).resolve().parent / "bonded"
RANDOM = np.random.default_rng(0)


def read(path: Path) -> gemmi.Model:
    structure = gemmi.read_structure(str(path))
    structure.remove_hydrogens()
    structure.remove_alternative_conformations()
    return structure[0]


def cut(model: gemmi.Model, keep: Callable[[gemmi.Chain, gemmi.Residue], bool]) -> gemmi.Model:
    out = gemmi.Model(1)
    for chain in model:
        new = gemmi.Chain(chain.name)
        for residue in chain:
            if keep(chain, residue):
                for atom in residue:
                    atom.aniso = gemmi.SMat33f(0, 0, 0, 0, 0, 0)
                new.add_residue(residue)
        if len(new):
            out.add_chain(new)
    return out


def write(model: gemmi.Model, name: str) -> None:
    structure = gemmi.Structure()
    structure.add_model(model)
    structure.write_pdb(str(FOLDER / f"{name}.pdb"), gemmi.PdbWriteOptions(minimal=True))


def place(atom: gemmi.Atom) -> np.ndarray:
    return np.array(atom.pos.tolist())


def new_atom(name: str, element: str, position: Iterable[float]) -> gemmi.Atom:
    atom = gemmi.Atom()
    atom.name, atom.element, atom.pos, atom.occ, atom.b_iso = (
        name,
        gemmi.Element(element),
        gemmi.Position(*position),
        1,
        20,
    )
    return atom


def directions(count: int) -> np.ndarray:
    v = RANDOM.normal(size=(count, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def degrees(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.degrees(np.arccos(np.clip((u @ v) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v), -1, 1)))


def attach(
    model: gemmi.Model, at: tuple[str, int, str], name: str, anchor: str, length: float, angle: float,
    *, drop: tuple[str, ...] = (), to: tuple[str, int] = ("H", 1), into: bool = False,
) -> None:  # fmt: skip
    """Put a component with its atom ``anchor`` bonded to an atom, turned to where it has most room.

    Args:
        at: chain, number and atom it is bonded to; angle: in degrees, there.
        drop: atoms that leave; to: chain and number that it gets.
        into: its atoms become those of the residue itself, which gets its name.
    """
    (residue,) = (r for c in model for r in c if c.name == at[0] and r.seqid.num == at[1])
    root = place(residue.find_atom(at[2], "*"))
    beside = [place(a) for a in residue if 0.1 < np.linalg.norm(place(a) - root) < 1.9]
    around = np.array([place(a) for c in model for r in c for a in r])
    around = around[np.linalg.norm(around - root, axis=1) > 2.0]
    ideal = components.residue(name)
    atoms = [(a.atom_name, a.element, a.coord) for a in ideal if a.element != "H" and a.atom_name not in drop]
    own = next(k for k, a in enumerate(atoms) if a[0] == anchor)
    x = np.array([a[2] for a in atoms], float)
    x -= x[own]
    near = [k for k in range(len(x)) if 0 < np.linalg.norm(x[k]) < 1.75]
    best, chosen = -np.inf, x
    for out in directions(4000):
        if any(abs(degrees(b - root, out) - angle) > 6 for b in beside):
            continue
        for turn in np.linalg.qr(RANDOM.normal(size=(40, 3, 3)))[0]:
            y = x @ (turn * np.sign(np.linalg.det(turn))).T + root + length * out
            if near and np.abs(degrees(y[near] - y[own], -out) - 112).max() > 15:
                continue
            others = np.delete(y, own, axis=0)
            room = np.linalg.norm(others[:, None] - around, axis=-1).min() if len(others) else 3.0
            if room > best:
                best, chosen = room, y
    if into:
        residue.name, residue.het_flag = name, "H"
    else:
        residue = gemmi.Residue()
        residue.name, residue.het_flag, residue.seqid = name, "H", gemmi.SeqId(to[1], " ")
    for (atom, element, _), y in zip(atoms, chosen, strict=True):
        residue.add_atom(new_atom(atom, element, y))
    if not into:
        chain = next((c for c in model if c.name == to[0]), None) or model.add_chain(gemmi.Chain(to[0]))
        chain.add_residue(residue)
    print(name, "closest", round(float(best), 2))


def replaced(model: gemmi.Model, number: int, name: str, fit: tuple[str, ...]) -> None:
    """Put a component in the place of a residue, its atoms ``fit`` on those of the residue, whose backbone stays."""
    chain, k = next((c, k) for c in model for k, r in enumerate(c) if r.seqid.num == number)
    old, new = chain[k], gemmi.Residue()
    new.name, new.het_flag, new.seqid = name, "H", old.seqid
    atoms = [a for a in components.residue(name) if a.element != "H" and a.atom_name != "OXT"]
    ideal = {a.atom_name: np.array(a.coord, float) for a in atoms}
    x, y = np.array([ideal[f] for f in fit]), np.array([place(old.find_atom(f, "*")) for f in fit])
    u, _, vt = np.linalg.svd((x - x.mean(0)).T @ (y - y.mean(0)))
    turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    for a in atoms:
        kept = old.find_atom(a.atom_name, "*") if a.atom_name in ("N", "CA", "C", "O") else None
        laid = (ideal[a.atom_name] - x.mean(0)) @ turn + y.mean(0)
        new.add_atom(new_atom(a.atom_name, a.element, laid if kept is None else place(kept)))
    del chain[k]
    chain.add_residue(new, k)


def modified(model: gemmi.Model) -> gemmi.Model:
    """Pyroglutamate 291, selenomethionine 302, pyridoxal-lysine 306, selenocysteine 307, phosphotyrosine 310 and
    acetyllysine 314.
    """
    backbone = ("N", "CA", "C", "O", "CB", "OXT")
    ring = ("CG", "CD1", "CD2", "CE1", "CE2", "CZ", "OH")
    replaced(model, 291, "PCA", ("N", "CA", "C", "CB"))
    attach(model, ("E", 302, "CB"), "MSE", "CG", 1.53, 112, into=True, drop=backbone)
    attach(model, ("E", 310, "OH"), "PTR", "P", 1.61, 120, into=True, drop=backbone + ring)
    attach(model, ("E", 314, "NZ"), "ALY", "CH", 1.33, 122, into=True, drop=(*backbone, "CG", "CD", "CE", "NZ"))
    attach(model, ("E", 306, "NZ"), "LLP", "C4'", 1.3, 122, into=True, drop=(*backbone, "CG", "CD", "CE", "NZ"))
    with_selenium(residue_of(model, 307), "SEC")
    return model


def residue_of(model: gemmi.Model, number: int) -> gemmi.Residue:
    return next(r for c in model for r in c if r.seqid.num == number)


def with_selenium(residue: gemmi.Residue, name: str) -> None:
    atom = residue.find_atom("SG", "*")
    residue.name, residue.het_flag, atom.name, atom.element = name, "H", "SE", gemmi.Element("Se")


def lanthionine(model: gemmi.Model) -> gemmi.Model:
    """Ala 5 in place of a cysteine of the conotoxin, its CB and that of Cys 21 drawn to the sulphur."""
    alanine, cysteine = residue_of(model, 5), residue_of(model, 21)
    sulphur = place(cysteine.find_atom("SG", "*"))
    alanine.name = "ALA"
    alanine.remove_atom("SG", "\0", gemmi.Element("S"))
    first, second = (residue.find_atom("CB", "*") for residue in (alanine, cysteine))
    along, middle = unit(place(second) - place(first)), (place(first) + place(second)) / 2
    aside = sulphur - middle
    aside = unit(aside - (aside @ along) * along)
    first.pos, second.pos = (gemmi.Position(*(middle + 1.5 * sign * along)) for sign in (-1, 1))
    cysteine.find_atom("SG", "*").pos = gemmi.Position(*(middle + np.sqrt(1.81**2 - 1.5**2) * aside))
    return model


def selenium(model: gemmi.Model) -> gemmi.Model:
    """Two bridges of the conotoxin with selenium, 2.3 Å long: of selenocysteines (5 and 21), and of one (4) to a
    residue that is none of the known (16, under the name of cysteine selenide).
    """
    for one, two, names in ((4, 16, ("SEC", "CSE")), (5, 21, ("SEC", "SEC"))):
        atoms = [residue_of(model, number).find_atom("SG", "*") for number in (one, two)]
        x, y = (place(atom) for atom in atoms)
        for atom, sign in zip(atoms, (1, -1), strict=True):
            atom.pos = gemmi.Position(*((x + y) / 2 + 1.15 * sign * unit(x - y)))
        for number, name in zip((one, two), names, strict=True):
            with_selenium(residue_of(model, number), name)
    return model


def reflected(model: gemmi.Model, number: int) -> gemmi.Model:
    """An alanine as D-alanine: CB through the plane of N, CA and C."""
    (residue,) = (r for c in model for r in c if r.seqid.num == number)
    n, ca, c = (place(residue.find_atom(name, "*")) for name in ("N", "CA", "C"))
    cb = residue.find_atom("CB", "*")
    normal = np.cross(n - ca, c - ca)
    normal /= np.linalg.norm(normal)
    cb.pos = gemmi.Position(*(place(cb) - 2 * ((place(cb) - ca) @ normal) * normal))
    residue.name, residue.het_flag = "DAL", "H"
    return model


def four_around_zinc(model: gemmi.Model) -> gemmi.Model:
    """Residues 305-309 of 1A7G, Cys 307 in their middle, four times about a zinc."""
    residues = [r for c in model for r in c if 305 <= r.seqid.num <= 309]
    cysteine = next(r for r in residues if r.seqid.num == 307)
    sulphur, carbon = (place(cysteine.find_atom(name, "*")) for name in ("SG", "CB"))
    axis = np.array([1.0, 1.0, 1.0]) / np.sqrt(3)
    best, chosen = -np.inf, []
    for turn in np.linalg.qr(RANDOM.normal(size=(4000, 3, 3)))[0]:
        turn = turn * np.sign(np.linalg.det(turn))
        if abs(degrees(turn @ (carbon - sulphur), -axis) - 105) > 4:
            continue
        copies = [
            [[flip * (turn @ (place(a) - sulphur) + 2.33 * axis) for a in r] for r in residues]
            for flip in np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
        ]
        points = [np.concatenate([np.array(r) for r in copy]) for copy in copies]
        room = np.linalg.norm(points[0][:, None] - np.concatenate(points[1:]), axis=-1)
        if np.sort(room.ravel())[3] > best:
            best, chosen = np.sort(room.ravel())[3], copies
    out = gemmi.Model(1)
    for letter, copy in zip("ABCD", chosen, strict=True):
        chain = gemmi.Chain(letter)
        for residue, places in zip(residues, copy, strict=True):
            new = residue.clone()
            for atom, y in zip(new, places, strict=True):
                atom.pos = gemmi.Position(*y)
            chain.add_residue(new)
        out.add_chain(chain)
    zinc = gemmi.Residue()
    zinc.name, zinc.het_flag, zinc.seqid = "ZN", "H", gemmi.SeqId(400, " ")
    zinc.add_atom(new_atom("ZN", "Zn", np.zeros(3)))
    out.add_chain(gemmi.Chain("Z")).add_residue(zinc)
    print("four cysteines, closest", round(float(best), 2))
    return out


def ring(count: int) -> gemmi.Model:
    """An even number of alanines, extended, in a ring: backbone atoms zigzag about a circle."""
    turn = 2 * np.pi * np.arange(3 * count) / (3 * count)
    radius = 1.1 / (turn[1] - turn[0]) + 0.4 * (-1.0) ** np.arange(3 * count)
    x = np.column_stack((radius * np.cos(turn), radius * np.sin(turn), np.zeros(3 * count)))
    chain = gemmi.Chain("A")
    for i in range(count):
        n, ca, c, following = (x[k % len(x)] for k in range(3 * i, 3 * i + 4))
        oxygen = c + 1.23 * unit(unit(c - ca) + unit(c - following))
        cb = ca + 1.53 * (-0.58 * unit(unit(n - ca) + unit(c - ca)) + 0.81 * unit(np.cross(n - ca, c - ca)))
        residue = gemmi.Residue()
        residue.name, residue.seqid, residue.het_flag = "ALA", gemmi.SeqId(i + 1, " "), "A"
        for name, y in (("N", n), ("CA", ca), ("C", c), ("O", oxygen), ("CB", cb)):
            residue.add_atom(new_atom(name, name[0], y))
        chain.add_residue(residue)
    out = gemmi.Model(1)
    out.add_chain(chain)
    return out


def unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v)


def main() -> None:
    entries = Path(sys.argv[1])
    ace2 = read(entries / "7DDO.pdb")
    write(cut(ace2, lambda c, r: c.name == "A" and (366 <= r.seqid.num <= 408 or r.name == "ZN")), "zinc")
    write(cut(ace2, lambda c, r: c.name == "C" and (335 <= r.seqid.num <= 364 or r.seqid.num == 601)), "glycan")
    trypsin = read(entries / "1GBT.cif")
    write(cut(trypsin, lambda _, r: 66 <= r.seqid.num <= 84 or r.seqid.num in (701, 274, 275)), "calcium")
    headpiece = read(entries / "1LCD.cif")
    write(cut(headpiece, lambda _, r: r.name not in ("HOH", "NA")), "dna")
    write(cut(read(entries / "1AS5.cif"), lambda *_: True), "conotoxin")
    write(cut(read(entries / "2n0n_M1.pdb"), lambda *_: True), "lactam")

    def base() -> gemmi.Model:
        return cut(read(entries / "1A7G.cif"), lambda c, r: c.name == "E" and 291 <= r.seqid.num <= 330)

    haem, cluster, sugars, serine, capped = base(), base(), base(), base(), base()
    attach(haem, ("E", 297, "NE2"), "HEM", "FE", 2.05, 126, to=("H", 401))
    write(haem, "haem")
    attach(cluster, ("E", 307, "SG"), "SF4", "FE1", 2.28, 106, to=("H", 401))
    write(cluster, "iron_sulphur")
    attach(sugars, ("E", 303, "ND2"), "NAG", "C1", 1.44, 122, drop=("O1",), to=("S", 1))
    attach(sugars, ("S", 1, "O4"), "NAG", "C1", 1.42, 114, drop=("O1",), to=("S", 2))
    attach(sugars, ("S", 2, "O4"), "BMA", "C1", 1.42, 114, drop=("O1",), to=("S", 3))
    write(sugars, "sugars")
    attach(serine, ("E", 313, "OG"), "SEP", "P", 1.61, 120, into=True, drop=("N", "CA", "CB", "C", "O", "OXT", "OG"))
    write(serine, "phosphoserine")
    attach(capped, ("E", 291, "N"), "ACE", "C", 1.335, 121, to=("E", 290))
    attach(capped, ("E", 330, "C"), "NME", "N", 1.335, 118, to=("E", 331))
    write(capped, "caps")
    write(reflected(base(), 302), "d_alanine")
    write(four_around_zinc(base()), "zinc_cys4")
    write(ring(10), "cycle")
    write(modified(base()), "modified")
    conotoxin = read(entries / "1AS5.cif")
    write(lanthionine(cut(conotoxin, lambda *_: True)), "lanthionine")
    write(selenium(cut(conotoxin, lambda *_: True)), "selenium")


if __name__ == "__main__":
    main()
