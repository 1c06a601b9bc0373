"""The command as a process of its own: ``refine`` and ``python -m refine``."""

from __future__ import annotations

import gc
import sys

from refine.cli import main

_COLLECT_EVERY = 50_000
"""Objects between searches for unreachable ones: torch makes a million on import, none of which ever goes."""


def run() -> int:
    """Run the command of ``sys.argv``; gives the exit code.

    What is there at the end goes with the process: to look through it once more took half a second.
    """
    gc.set_threshold(_COLLECT_EVERY, *gc.get_threshold()[1:])
    try:
        return main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    sys.exit(run())
