"""Which residues a run leaves where they are, by the names that the 3-D view has for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from refine.errors import RefineError
from refine.structure.prepare import immobile
from refine.structure.protein import Protein, ResidueId
from refine.structure.read import read_structure


def key(residue: ResidueId) -> str:
    """``A:152B``."""
    return f"{residue.chain}:{residue.number}{residue.insertion}"


def of_protein(protein: Protein, selection: str) -> list[str]:
    """Residues of ``selection`` and those held by their bonds; the latter alone where it cannot be read."""
    try:
        mask = immobile(protein, selection)
    except RefineError:
        mask = immobile(protein, "")
    return [key(protein.residue_ids[i]) for i in np.flatnonzero(mask)]


@st.cache_data(max_entries=32, show_spinner=False)
def of_file(path: str, selection: str) -> Sequence[str]:
    """The same of a structure that a run has written."""
    return of_protein(read_structure(Path(path)).protein, selection)
