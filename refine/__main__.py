"""``python -m refine``."""

from __future__ import annotations

import sys

from refine.cli import main

if __name__ == "__main__":
    sys.exit(main())
