"""report.html: everything a run folder says, in one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import logging
import traceback
from html import escape
from importlib import resources
from pathlib import Path

from refine.report import sections
from refine.report.encode import script_json
from refine.report.payload import Contents, contents, payload
from refine.run.citations import CITE_BIB
from refine.run.folder import RunFolder
from refine.run.result import read_run

log = logging.getLogger(__name__)

REPORT_FILE = "report.html"
SCRIPTS = ("core.js", "charts.js", "maps.js", "viewer.js", "tracks.js", "main.js")
VIEWER = ("3Dmol-min.js", "3Dmol-LICENSE.txt")


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


def page(found: Contents) -> str:
    """The whole file.

    Scripts run by their hash alone (Content-Security-Policy), so that no text of the input could ever become one;
    nothing may be fetched.
    """
    own = "\n".join(asset(name).replace("'use strict';\n", "") for name in SCRIPTS)
    viewer, licence = (asset(name) for name in VIEWER)
    code = (viewer.replace("</script", "<\\/script"), f"'use strict';\n{own}")
    allowed = " ".join(f"'sha256-{_digest(text)}'" for text in code)
    policy = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    title = escape(str(found.run.record.get("input", "")))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>refine: {title}</title>'
        f"<style>{asset('report.css')}</style></head><body>{_body(found)}"
        f"<!-- The 3-D view is 3Dmol.js, under this licence:\n{licence.replace('--', '- -')}\n-->"
        f'<script type="application/json" id="data">{script_json(payload(found))}</script>'
        f"<script>{code[0]}</script><script>{code[1]}</script></body></html>\n"
    )


def asset(name: str) -> str:
    """Text of a file beside this module."""
    return (resources.files("refine.report") / "assets" / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _body(found: Contents) -> str:
    record = found.run.record
    chains = len(record.get("chains") or [])
    meta = f"{record.get('residues', '–')} residues in {chains} chain{'' if chains == 1 else 's'}, seed {record.get('seed', '–')}"
    parts = {
        "summary": ("Before and after", sections.score_table(found) + _native_note(found)),
        "structure": ("Structures", _STRUCTURE),
        "traces": ("Propagation", _TRACES if len(found.trace) > 1 else _missing("trace.csv")),
        "rpdd": (
            "Residue-pair distances",
            _RPDD + sections.sampling(record) if found.rpdd is not None else _missing("rpdd.npz"),
        ),
        "ramachandran": ("Ramachandran", _RAMACHANDRAN),
        "residues": ("Along the sequence", _RESIDUES),
        "repairs": ("Repairs", sections.repairs(found)),
        "settings": ("Settings", sections.settings(record)),
        "citation": (
            "Citation",
            f"<p>What a paper that uses this run should cite; also in cite.bib.</p><pre>{escape(CITE_BIB)}</pre>",
        ),
    }
    links = "".join(f'<a href="#{name}">{title}</a>' for name, (title, _) in parts.items())
    cards = "".join(
        f'<section class="card" id="{name}"><h2>{title}</h2>{body}</section>' for name, (title, body) in parts.items()
    )
    return (
        f'<div class="top"><div><nav aria-label="Parts">{links}</nav><label>model <select id="model"></select></label>'
        f'<button id="theme" type="button">Theme</button></div></div>'
        f'<main><h1>{escape(str(record.get("input", "")))}</h1><p class="meta">{escape(meta)}</p>'
        f"{sections.verdict(record)}{sections.tiles(found)}{sections.absent(found)}{cards}"
        f"<footer>refine {escape(str((record.get('versions') or {}).get('refine', '')))}; this file needs no network.</footer></main>"
    )


def _native_note(found: Contents) -> str:
    note = '<p class="note">Colour: better or worse than the input as it came. '
    if found.comparison is None:
        return note + "No native has been given (<code>refine compare RUN NATIVE</code>).</p>"
    return (
        note + escape(f"Native: {found.comparison.get('native', '')}; {found.comparison.get('matching', '')}.") + "</p>"
    )


def _missing(file: str) -> str:
    return f'<p class="note">The run folder holds no usable {file}, so this part is left out.</p>'


_STRUCTURE = """<p class="note">Models are laid onto the input by their Cα atoms. Drag turns; after a click into the
picture the wheel zooms.</p>
<div class="controls">
<label>colour by <select id="view-colour"><option value="structure">structure</option></select></label>
<label>as <select id="view-style"><option>cartoon</option><option>trace</option><option>sticks</option></select></label>
<button id="view-reset" type="button">Centre</button></div>
<div class="controls" id="view-structures"></div>
<div id="viewer"></div><div class="readout" id="view-readout"></div><div id="view-legend"></div>"""

_TRACES = """<p class="note">Energies at every step, with the pull towards the input where that is on; the highest two
percent may leave the picture. Temperature: the thermostat's, or the one at which the noise would be that of equilibrium
under the unpreconditioned terms.</p> <div class="controls"><button type="button"
data-trace="replicas">Replicas</button> <button type="button" data-trace="terms">Terms</button></div>
<div id="trace-energy"></div><div id="trace-temperature"></div>"""

_RPDD = """<p class="note">Distances between Cβ atoms (Cα for glycine) over the ensemble; where calibrated, also what
that says of the native's distances. Click a pair for its histogram; arrow keys move it.</p>
<div class="pair" id="maps"></div>"""

_RAMACHANDRAN = """<p class="note">Shaded: where 98 % of the residues of good crystal structures lie, and the allowed
region around it.</p> <div class="controls"><label>residues <select id="rama-class">
<option value="all">all, on the general background</option></select></label></div>
<div class="pair"><div id="rama-before"></div><div id="rama-after"></div></div>"""

_RESIDUES = """<p class="note">Bars: the chosen model. Line: the input, finished in the same way (against a
native: as it came). A click marks the residue everywhere.</p>
<div class="readout" id="track-readout"></div><div class="tracks" id="tracks"></div>"""
