"""``refine explore`` and ``refine states``: other states of a model or a peptide, into a run folder."""
