"""Packs homology models and models of predictors, with their natives, into the file that ``refine train --real`` reads.

    python benchmarks/pack_real_models.py --pack PACK --homology MODELS --predicted PREDICTED --out real.npz

PACK has the natives of the homology models, MODELS an npz folder of them (arrays (residues, 14, 3) int16 in 0.01 Å, one
for each template), PREDICTED an index.tsv with one folder for each protein.
"""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path

from refine.training.pack import Pack
from refine.training.real_models import homology_models, pack_real_models, predicted_models


def main() -> int:
    """Pack both kinds and print how many models there are of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("pack", "homology", "predicted", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    models = chain(homology_models(args.homology, Pack(args.pack)), predicted_models(args.predicted))
    counts = pack_real_models(models, args.out)
    print(", ".join(f"{count} {kind}s" if kind != "predicted" else f"{count} {kind}" for kind, count in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
