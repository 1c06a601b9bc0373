"""Which atoms of a structure are bonded although no record says so: by element, distance, angle and free valence.

Covalent radii are gemmi's. A bond that only a distance tells has to be one that chemistry makes: a ligand that lies in
a side chain is not bonded to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import gemmi
import numpy as np
from scipy.spatial import cKDTree

from refine.constants import ATOM14
from refine.structure.atom_sites import CROWD, Atoms, is_hydrogen, is_water
from refine.structure.protein import Connection, Protein, Site

DISULFIDE_REACH = 3.0
"""Å between two sulfurs, each the other's nearest, up to which they are bonded: models open disulfides, and unbonded
sulfurs in contact are 3.6 Å apart."""
METAL_SLACK = 0.6
"""Å beyond the sum of the covalent radii up to which a metal is coordinated: Zn–S 2.87, Zn–N 2.53, Ca–O 3.02."""
COVALENT_SLACK = 0.25
"""Å beyond the sum of the covalent radii up to which two atoms are bonded: C–N 1.69, C–O 1.64, S–C 2.03."""
STRETCHED_SLACK = 0.7
"""The same for sugars on Asn, Ser and Thr and for peptides to caps and other residues of the chain: what they are
leaves no doubt, and builders leave them stretched."""
_THIOETHER_SLACK = 0.15
"""Å around the sum of the radii within which a sulfur is bonded to a carbon of a side chain: no atom that left tells
so, and clashes of models come as near."""
SHORTEST = 1.1
"""Å below which two heavy atoms lie on each other rather than being bonded."""
_REACH = 2.6
"""Å, beyond every covalent bond that is looked for."""

_DONORS = frozenset("N O S SE".split())
_CARBONYLS = {"D": ("CG", "OD2"), "N": ("CG", "ND2"), "E": ("CD", "OE2"), "Q": ("CD", "NE2")}
"""Carbon of the side chain that is attacked, and the atom that leaves when it is."""
_SIDE_CHAIN_PAIRS = (("K", "NZ", "DNEQ"), ("C", "SG", "DNEQ"), ("S", "OG", "DE"), ("T", "OG1", "DE"))
"""Isopeptides, thioesters and esters: attacking residue and atom, attacked residues."""
_THIOETHERS = {"A": ("CB",), "W": ("CD1",), "Y": ("CE1", "CE2"), "H": ("CE1", "CD2")}
"""Carbons that a cysteine's sulfur is bonded to: of lanthionines, and beside the rings of oxidases."""
_SUGAR_BEARERS = {("N", "ND2"), ("S", "OG"), ("T", "OG1")}


def bonds_by_distance(atoms: Atoms) -> Iterator[Connection]:
    """Every bond that elements and places tell, besides those within residues and groups and the peptides."""
    yield from _disulfides(atoms)
    yield from _metals(atoms)
    yield from _own_modifications(atoms)
    yield from _to_hetero(atoms)
    yield from _between_groups(atoms)
    yield from _between_residues(atoms)
    yield from _thioethers(atoms)


def leaving_atom(protein: Protein, site: Site) -> Site | None:
    """The atom of a carbonyl that is not there because its carbon, ``site``, is bonded to something else; None when
    nothing has left.
    """
    if site.residue < 0 or site.slot == 14:
        return None
    carbon, _ = _CARBONYLS.get(protein.sequence[site.residue], ("", ""))
    names = ATOM14[protein.sequence[site.residue]]
    if names[site.slot] != carbon:
        return None
    tips = [k for k, name in enumerate(names) if name[1:2] == {"CG": "D", "CD": "E"}[carbon]]
    absent = [k for k in tips if not protein.mask[site.residue, k]]
    return Site(site.residue, absent[-1]) if absent else None


def _disulfides(atoms: Atoms) -> Iterator[Connection]:
    """Sulfurs of cysteines within ``DISULFIDE_REACH``, nearest pairs first, each once; those on a metal are taken."""
    slot = ATOM14["C"].index("SG")
    sulfurs = [s for s in atoms.sites if s.residue >= 0 and s.slot == slot and atoms.protein.sequence[s.residue] == "C"]
    metals = [atoms.positions[a] for a, e in enumerate(atoms.elements) if gemmi.Element(e).is_metal]
    if metals:
        on_metal = cKDTree(np.array(metals)).query(atoms.positions[[atoms.index[s] for s in sulfurs]])[0] < 2.9
        sulfurs = [s for s, bound in zip(sulfurs, on_metal, strict=True) if not bound]
    if len(sulfurs) < 2:
        return
    points = atoms.positions[[atoms.index[s] for s in sulfurs]]
    pairs = cKDTree(points).query_pairs(DISULFIDE_REACH, output_type="ndarray")
    order = np.argsort(np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1), kind="stable")
    used: set[int] = set()
    for a, b in pairs[order].tolist():
        if a not in used and b not in used:
            used |= {a, b}
            yield atoms.connection(sulfurs[a], sulfurs[b], "distance")


def _metals(atoms: Atoms) -> Iterator[Connection]:
    """Donor atoms of residues, modified ones with all they have, at metals that are carried along."""
    own = {Site(-1, k) for indices in atoms.modifications.values() for k in indices}
    sites = [b for b, site in enumerate(atoms.sites) if site.residue >= 0 or site in own]
    donors = [b for b in sites if atoms.elements[b] in _DONORS]
    tree = cKDTree(atoms.positions[donors])
    for a, site in enumerate(atoms.sites):
        metal = gemmi.Element(atoms.elements[a])
        if site.residue >= 0 or not metal.is_metal:
            continue
        for b in tree.query_ball_point(atoms.positions[a], metal.covalent_r + 1.3 + METAL_SLACK):
            one = atoms.connection(atoms.sites[donors[b]], site, "distance")
            if one.distance > SHORTEST and atoms.gap(one) <= METAL_SLACK:
                yield one


def _own_modifications(atoms: Atoms) -> Iterator[Connection]:
    """Bonds of residues to their own atoms beyond the standard residue."""
    for i, own in atoms.modifications.items():
        for k in own:
            for slot in np.flatnonzero(atoms.protein.mask[i]).tolist():
                one = atoms.connection(Site(i, slot), Site(-1, k), "distance")
                if one.distance > SHORTEST and atoms.gap(one) <= COVALENT_SLACK:
                    yield one


def _to_hetero(atoms: Atoms) -> Iterator[Connection]:
    """Covalent bonds of residues to hetero groups that are no metals or waters, the best first, each atom once."""
    groups = _bindable(atoms)
    if not groups:
        return
    tree = cKDTree(atoms.positions[groups])
    own = {k for indices in atoms.modifications.values() for k in indices}
    candidates = []
    for b, site in enumerate(atoms.sites):
        if site.residue < 0:
            continue
        near = tree.query_ball_point(atoms.positions[b], _REACH)
        if not near or not atoms.is_free(site):
            continue
        for g in near:
            other = atoms.sites[groups[g]]
            one = atoms.connection(site, other, "distance")
            if other.slot not in own and _is_bond(atoms, one):
                candidates.append((atoms.gap(one), one))
    yield from _each_once(candidates)


def _between_groups(atoms: Atoms) -> Iterator[Connection]:
    """Covalent bonds between hetero groups: sugars in a row, what is bonded to them, residues that are not refined."""
    groups = _bindable(atoms)
    if len(groups) < 2:
        return
    pairs = cKDTree(atoms.positions[groups]).query_pairs(CROWD, output_type="ndarray")
    candidates = []
    hetero = atoms.protein.hetero
    for a, b in np.sort(pairs, axis=1).tolist():
        first, second = atoms.sites[groups[a]], atoms.sites[groups[b]]
        if atoms.within_one_group(first, second):
            continue
        one, two = hetero[first.slot], hetero[second.slot]
        apart = one.altloc and two.altloc and one.altloc != two.altloc
        if not apart and {one.name, two.name} != {"O3'", "P"}:  # that is how nucleotides hang together anyway
            bond = atoms.connection(first, second, "distance")
            if _is_bond(atoms, bond):
                candidates.append((atoms.gap(bond), bond))
    yield from _each_once(candidates)


def _bindable(atoms: Atoms) -> list[int]:
    """Hetero atoms that may have covalent bonds to other groups."""
    hetero = atoms.protein.hetero
    return [
        a
        for a, site in enumerate(atoms.sites)
        if site.residue < 0
        and not is_hydrogen(atoms.elements[a])
        and not gemmi.Element(atoms.elements[a]).is_metal
        and not is_water(hetero[site.slot].residue_name)
        and a not in atoms.heaped
    ]


def _is_bond(atoms: Atoms, one: Connection) -> bool:
    symbols = sorted(atoms.element(site) for site in (one.first, one.second))
    if symbols in (["O", "O"], ["N", "O"], ["N", "N"]) or one.distance <= SHORTEST:
        return False
    if _is_likely(atoms, one):
        return atoms.gap(one) <= STRETCHED_SLACK
    return atoms.gap(one) <= COVALENT_SLACK and atoms.bends_well(one)


def _is_likely(atoms: Atoms, one: Connection) -> bool:
    """Whether it is the peptide to a cap or to a residue that is not refined, or a sugar where sugars are."""
    site, other = one.first, atoms.protein.hetero[one.second.slot]
    if site.residue < 0:
        return False
    if site.slot in (0, 2):
        return other.name == "CN"[site.slot // 2]
    info = gemmi.find_tabulated_residue(other.residue_name)
    sugar = info is not None and info.kind in (gemmi.ResidueKind.PYR, gemmi.ResidueKind.KET)
    return sugar and other.name == "C1" and (atoms.protein.sequence[site.residue], atoms.name(site)) in _SUGAR_BEARERS


def _each_once(candidates: list[tuple[float, Connection]]) -> Iterator[Connection]:
    """The candidates, best first, each atom of them once."""
    used: set[Site] = set()
    for _, one in sorted(candidates, key=lambda entry: (entry[0], entry[1].first, entry[1].second)):
        if one.first not in used and one.second not in used:
            used |= {one.first, one.second}
            yield one


def _between_residues(atoms: Atoms) -> Iterator[Connection]:
    """Cycles (C of a chain's end to N of its beginning) and bonds between side chains, where what would have left is
    not there.
    """
    protein = atoms.protein
    last = {identity.chain: i for i, identity in enumerate(protein.residue_ids)}
    first = {identity.chain: i for i, identity in reversed(list(enumerate(protein.residue_ids)))}
    for chain in protein.chains:
        ends = [(Site(last[chain], 2), Site(last[chain], 14))]
        yield from _bonded_pairs(atoms, [Site(first[chain], 0)], ends, STRETCHED_SLACK)
    ends = [(Site(i, 2), Site(i, 14)) for i in np.flatnonzero(~protein.bonded).tolist()]
    begins = [Site(0, 0)] + [Site(i + 1, 0) for i in np.flatnonzero(~protein.bonded[:-1]).tolist()]
    carbonyls: list[tuple[str, Site, Site]] = []
    for i, letter in enumerate(protein.sequence):
        if letter in _CARBONYLS:
            carbon, leaving = (Site(i, ATOM14[letter].index(name)) for name in _CARBONYLS[letter])
            carbonyls.append((letter, carbon, leaving))
    yield from _bonded_pairs(atoms, begins, [(carbon, leaving) for _, carbon, leaving in carbonyls])
    for letter, name, attacked in _SIDE_CHAIN_PAIRS:
        attacking = [Site(i, ATOM14[aa].index(name)) for i, aa in enumerate(protein.sequence) if aa == letter]
        goals = [(carbon, leaving) for aa, carbon, leaving in carbonyls if aa in attacked]
        yield from _bonded_pairs(atoms, attacking, goals + ends)


def _bonded_pairs(
    atoms: Atoms, attacking: Sequence[Site], attacked: Sequence[tuple[Site, Site]], slack: float = COVALENT_SLACK
) -> Iterator[Connection]:
    """Bonds of ``attacking`` atoms to ``attacked`` ones, each given with the atom whose absence tells that it left."""
    first = [site for site in attacking if site in atoms.index]
    second = [site for site, leaving in attacked if site in atoms.index and leaving not in atoms.index]
    if not first or not second:
        return
    tree = cKDTree(atoms.positions[[atoms.index[site] for site in first]])
    near = tree.query_ball_point(atoms.positions[[atoms.index[site] for site in second]], _REACH)
    for goal, places in zip(second, near, strict=True):
        for a in sorted(places):
            one = atoms.connection(first[a], goal, "distance")
            bonded = SHORTEST < one.distance and atoms.gap(one) <= slack
            if bonded and not atoms.within_one_group(first[a], goal) and not atoms.is_peptide(one):
                yield one


def _thioethers(atoms: Atoms) -> Iterator[Connection]:
    """Sulfurs of cysteines on carbons of side chains, with the lengths and angles of such bonds, each atom once."""
    sequence = atoms.protein.sequence
    sulfurs = [Site(i, ATOM14["C"].index("SG")) for i, aa in enumerate(sequence) if aa == "C"]
    carbons = [Site(i, ATOM14[aa].index(name)) for i, aa in enumerate(sequence) for name in _THIOETHERS.get(aa, ())]
    sulfurs, carbons = ([site for site in sites if site in atoms.index] for sites in (sulfurs, carbons))
    if not sulfurs or not carbons:
        return
    places = atoms.positions[[atoms.index[site] for site in carbons]]
    near = cKDTree(places).query_ball_point(atoms.positions[[atoms.index[site] for site in sulfurs]], _REACH)
    candidates = []
    for sulfur, found in zip(sulfurs, near, strict=True):
        for k in found:
            one = atoms.connection(sulfur, carbons[k], "distance")
            if abs(atoms.gap(one)) <= _THIOETHER_SLACK and atoms.bends_well(one):
                candidates.append((abs(atoms.gap(one)), one))
    yield from _each_once(candidates)
