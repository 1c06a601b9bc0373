"""Where the files that travel with the package lie, in a wheel and in a checkout alike.

The top-level folders ``models/`` and ``app/`` of the checkout are installed as ``refine/_models`` and ``refine/_app``.
"""

from __future__ import annotations

import os
from pathlib import Path

from refine.errors import ModelError

PACKAGE = Path(__file__).resolve().parent


def models_dir() -> Path:
    """Folder of the trained files.

    The environment variable ``REFINE_MODELS`` wins, then the installed copy, then ``models/`` of a checkout.

    Raises:
        ModelError: no such folder.
    """
    override = os.environ.get("REFINE_MODELS")
    if override:
        folder = Path(override).expanduser()
        if not folder.is_dir():
            raise ModelError(
                "REFINE_MODELS does not name a folder",
                file=override,
                remedy="Correct it, or unset it to use the packaged files",
            )
        return folder
    return _packaged("_models", "models")


def app_dir() -> Path:
    """Folder of the web page's files.

    Raises:
        ModelError: no such folder.
    """
    return _packaged("_app", "app")


def _packaged(installed: str, checkout: str) -> Path:
    for folder in (PACKAGE / installed, PACKAGE.parent / checkout):
        if folder.is_dir():
            return folder
    raise ModelError(f"the packaged folder '{checkout}' is missing", remedy="Install refine again")
