"""report.html: everything a run folder says, in one file that needs no network."""

from __future__ import annotations

import html
import logging
import traceback
from pathlib import Path

from refine.report.folder import RunFolder
from refine.report.result import RunResult, read_run

log = logging.getLogger(__name__)

REPORT_FILE = "report.html"


def write_report(folder: Path) -> Path:
    """Write report.html of a finished run from what lies in its folder; gives its path.

    Raises:
        InputError: it is no run folder, or the run is not done.
        EngineError: it could not be written.
    """
    return RunFolder(Path(folder)).text(REPORT_FILE, page(read_run(Path(folder))))


def try_report(folder: Path) -> dict[str, str]:
    """Write the report as the last act of a run: ``{"file": …}``, or ``{"error": …}`` with the traceback in the log.

    The border of the report: whatever it meets, the models that are already written stay the result of the run.
    """
    try:
        return {"file": write_report(folder).name}
    except Exception as error:
        log.error("%s", traceback.format_exc())
        return {"error": f"{type(error).__name__}: {error}"}


def page(run: RunResult) -> str:
    """The whole file."""
    return f"<!doctype html><title>{html.escape(str(run.record.get('input', '')))}</title><p>{html.escape(run.verdict)}</p>"
