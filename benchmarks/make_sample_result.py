"""Make the finished result that the web app's help shows: the example refined with the default settings, and compared
with its native.

    python benchmarks/make_sample_result.py app/example/run

What the pages do not show (the report, the snapshots of the ensemble, the log) is left out to keep it small.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODELS = 3
LEFT_OUT = ("ensemble.pdb", "log.txt", "progress.jsonl", "report.html")


def main(out: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        for name in ("1a8o_model.pdb", "1a8o_native.pdb"):
            shutil.copy(ROOT / "examples" / name, place)
        for arguments in (
            ["run", "1a8o_model.pdb", "--out", "run", f"--models={MODELS}"],
            ["compare", "run", "1a8o_native.pdb"],
        ):
            subprocess.run([sys.executable, "-m", "refine", *arguments], cwd=place, check=True)
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        for path in run.iterdir():
            if path.name not in LEFT_OUT:
                shutil.copy(path, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
