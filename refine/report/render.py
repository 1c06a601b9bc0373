"""Templates, scripts and style sheets of the report, which the benchmark's report and the app use as well."""

from __future__ import annotations

import functools
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2

PART_SCRIPTS = ("page.js", "charts.js", "maps.js", "structures.js", "tracks.js", "main.js")
STRICT = "'use strict';\n"


def render(template: str, **values: Any) -> str:
    """The text of a file of templates/ with ``values`` in their places.

    Every value is escaped unless it is ``markupsafe.Markup``; a name that the template uses and ``values`` lacks is an
    error (``jinja2.UndefinedError``).
    """
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2  # a run without a report does not need it

    loader = jinja2.FunctionLoader(lambda name: _text("templates", name))
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def asset(name: str) -> str:
    """Text of a file of assets/."""
    return _text("assets", name)


@functools.cache
def shared_script() -> str:
    """JavaScript that knows no run: elements, ``lineChart``, ``StructureView``."""
    return STRICT + _joined("elements.js", "atoms.js", "viewer.js")


@functools.cache
def script() -> str:
    """The report's JavaScript: ``shared_script`` and ``drawReport(DATA, ROOT)``.

    ``drawReport`` draws a payload (``refine.report.payload``) into those parts that the element ROOT holds a place for.
    On ROOT it listens to the events ``model`` (its detail is the model to show), ``residue`` (the index of the residue
    to mark), ``theme`` (colours have changed) and ``close``, and sends ``chosen`` (the index of the residue) when one
    is marked.
    """
    return f"{shared_script()}\nfunction drawReport(DATA, ROOT) {{\n{_joined(*PART_SCRIPTS)}}}\n"


def _joined(*names: str) -> str:
    return "\n".join(asset(name).removeprefix(STRICT) for name in names)


def _text(folder: str, name: str) -> str:
    return resources.files("refine.report").joinpath(folder, *name.split("/")).read_text(encoding="utf-8")
