"""Residue matching: numbering first, alignment else, always said."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from refine.assess.compare import compare
from refine.assess.matching import match_residues
from refine.errors import InputError
from refine.structure.protein import Protein, ResidueId
from tests.proteins import chain_backbone, make_protein, torsions

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"


def protein(sequence: str = SEQUENCE, start: int = 1) -> Protein:
    return make_protein([chain_backbone(*torsions(len(sequence)))], [sequence], start=start)


def renamed(p: Protein, chain: str) -> Protein:
    return dataclasses.replace(p, residue_ids=tuple(ResidueId(chain, r.number, r.insertion) for r in p.residue_ids))


def test_equal_numbering_and_a_blank_chain() -> None:
    m = match_residues(renamed(protein(), ""), protein())
    assert m.method == "numbering" and len(m) == len(SEQUENCE) and m.identity == 1.0
    assert m.chains == (("", "A"),) and "blank=A" in m.summary()


def test_shifted_numbers_fall_back_to_alignment() -> None:
    m = match_residues(protein(start=101), protein())
    assert m.method == "alignment" and len(m) == len(SEQUENCE) and m.identity == 1.0
    m = match_residues(protein(start=3), protein())
    assert m.method == "alignment" and m.identity == 1.0


def test_native_with_a_gap_and_a_model_with_more() -> None:
    whole = protein()
    native = whole.select([i for i in range(len(whole)) if not 10 <= i < 15 and i > 2])
    m = match_residues(whole, native)
    assert m.method == "numbering" and m.native_only == 0 and m.model_only == 8
    assert all(
        whole.residue_ids[i].number == native.residue_ids[j].number
        for i, j in zip(m.model_index, m.native_index, strict=True)
    )
    c = compare(whole, native)
    assert c.gdt_ts == 100.0 and c.lddt == 1.0 and len(c.residue_lddt) == len(native)


def test_a_gap_with_other_numbers_is_aligned_around() -> None:
    whole = protein(start=50)
    native = protein().select([i for i in range(len(SEQUENCE)) if not 12 <= i < 17])
    m = match_residues(whole, native)
    assert m.method == "alignment" and m.identity == 1.0 and len(m) == len(native)


def test_unmatched_native_residues_count_as_wrong() -> None:
    native = protein()
    c = compare(native.select(np.arange(24)), native)
    assert c.matching.native_only == 9
    assert c.gdt_ts == pytest.approx(100 * 24 / 33) and c.lddt < 0.9
    assert (c.residue_lddt[25:] == 0).all() and np.isnan(c.residue_distance[24:]).all()


def test_mutations_keep_their_numbers() -> None:
    changed = SEQUENCE[:5] + "W" + SEQUENCE[6:]
    c = compare(protein(changed), protein())
    assert c.matching.method == "numbering" and c.matching.identity == pytest.approx(32 / 33) and c.gdt_ha == 100.0


def test_chains_are_paired_by_sequence() -> None:
    one, two = chain_backbone(*torsions(33)), chain_backbone(*torsions(24, seed=3)) + [40, 0, 0]
    other = "GWLNPDEKRSTVACFHIQMYGLEK"
    native = make_protein([one, two], [SEQUENCE, other])
    model = make_protein([two, one], [other, SEQUENCE])
    m = match_residues(model, native)
    assert set(m.chains) == {("B", "A"), ("A", "B")} and m.identity == 1.0 and len(m) == 57
    assert compare(model, native).tm_score == pytest.approx(1.0)


def test_homodimer_keeps_chain_names() -> None:
    one, two = chain_backbone(*torsions(33)), chain_backbone(*torsions(33, seed=3)) + [40, 0, 0]
    dimer = make_protein([one, two], [SEQUENCE, SEQUENCE])
    assert set(match_residues(dimer, dimer).chains) == {("A", "A"), ("B", "B")}


def test_unrelated_proteins_are_refused() -> None:
    with pytest.raises(InputError, match="correspond"):
        match_residues(protein("WWWWWWWWWW", start=500), protein("GGGGGGGGGG"))
