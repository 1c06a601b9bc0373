"""report.html: everything a run folder says, in one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import logging
import traceback
from pathlib import Path
from typing import Any

from markupsafe import Markup

from refine.report import sections
from refine.report import verdict as verdicts
from refine.report.bands import input_strips
from refine.report.encode import script_json
from refine.report.payload import Contents, contents, payload
from refine.report.render import asset, render, script
from refine.run.citations import CITE_BIB
from refine.run.folder import RunFolder
from refine.run.result import read_run

log = logging.getLogger(__name__)

REPORT_FILE = "report.html"
START = "drawReport(JSON.parse(document.getElementById('data').textContent), document.documentElement);\n"


def write_report(folder: Path) -> Path:
    """Write report.html of a finished run from what lies in its folder; gives its path.

    Raises:
        InputError: it is no run folder, or the run is not done.
        EngineError: it could not be written.
    """
    return RunFolder(Path(folder)).text(REPORT_FILE, page(contents(read_run(Path(folder)))))


def try_report(folder: Path) -> dict[str, str]:
    """Write the report as the last act of a run: ``{"file": …}``, or ``{"error": …}`` with the traceback in the log.

    The border of the report: whatever it meets, the models that are already written stay the result of the run.
    """
    try:
        return {"file": write_report(folder).name}
    except Exception as error:
        log.error("%s", traceback.format_exc())
        return {"error": f"{type(error).__name__}: {error}"}


def page(run: Contents) -> str:
    """The whole file.

    Scripts run by their hash alone (Content-Security-Policy), so that no text of the input could ever become one;
    nothing may be fetched.
    """
    scripts = (asset("3Dmol-min.js").replace("</script", "<\\/script"), script() + START)
    return render(
        "report.html",
        **_values(run),
        style=Markup(asset("report.css")),
        scripts=[Markup(text) for text in scripts],
        digests=[_digest(text) for text in scripts],
        data=Markup(script_json(payload(run))),
        licence=Markup(asset("3Dmol-LICENSE.txt").replace("--", "- -")),
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _values(run: Contents) -> dict[str, Any]:
    """What the template prints, but for scripts and style."""
    record = run.record
    scores = sections.score_columns(run)
    numbers = verdicts.changes(scores.get("input", {}), scores.get("model_1", {}))
    sampling = record.get("sampling")
    return {
        "title": str(record.get("input", "")),
        "residues": record.get("residues", "–"),
        "chains": len(record.get("chains") or []),
        "seed": record.get("seed", "–"),
        "verdict": verdicts.verdict(record),
        "explained": verdicts.explained(verdicts.word(record), numbers),
        "tiles": sections.tiles(run),
        "absent": run.absent,
        "missing": run.missing,
        "scores": sections.score_table(run),
        "confidence": input_strips(run),
        "comparison": run.comparison,
        "sampling": sampling if isinstance(sampling, dict) else {},
        "repairs": sections.repairs(record),
        "evidence": sections.evidence(record),
        "finishing": sections.finishing_table(record.get("models") or []),
        "settings": sections.settings(record),
        "citation": CITE_BIB,
        "version": (record.get("versions") or {}).get("refine", ""),
    }
