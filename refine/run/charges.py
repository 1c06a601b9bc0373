"""What a run says of the charges that its term "electrostatics" acts on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refine.physics.titration import Group
from refine.settings import RunSettings
from refine.structure.protein import Protein


def charge_facts(groups: Sequence[Group], source: str, settings: RunSettings, protein: Protein) -> dict[str, Any]:
    """For run.json: the conditions as they act, and pKa and charge of every group; ``source`` of the pKa, in words."""
    conditions = settings.conditions
    return {
        "weight": settings.electrostatics, "ph": conditions.acidity, "permittivity": round(conditions.permittivity, 2),
        "screening": round(conditions.screening, 2), "pka_source": source,
        "groups": [
            {"residue": str(protein.residue_ids[group.residue]), "kind": group.kind, "pka": round(group.pka, 2),
             "charge": round(group.charge(conditions.acidity), 3)}
            for group in groups
        ],
    }  # fmt: skip
