"""A row of the table of ``benchmarks/reliability.py``: how many odd inputs, kills or faults of one kind were tried, and
how each of them ended.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Row:
    """How one kind of trouble was met; ``tried`` is the sum of the four numbers behind it.

    Attributes:
        name: the kind, as the table shows it.
        tried: how many there were.
        accepted: the work was done, and what came out is right.
        refused: an error of ours that says what is wrong.
        crashed: a traceback, or a wrong result without a word.
        hung: not done within the time the section allows.
        note: how long, how many bytes, or the first failures.
    """

    name: str
    tried: int = 0
    accepted: int = 0
    refused: int = 0
    crashed: int = 0
    hung: int = 0
    note: str = ""
