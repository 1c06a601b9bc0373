"""The errors a user can meet, each naming what is wrong, where, and what to do about it."""

from __future__ import annotations


class RefineError(Exception):
    """Base of every error that is reported to the user without a traceback.

    Args:
        message: what is wrong, in one sentence.
        file: the input file, when one is to blame.
        chain: author chain id.
        residue: author residue number with insertion code and name, e.g. ``"A:52B GLY"`` or ``"52B"``.
        remedy: what the user can do about it.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        chain: str | None = None,
        residue: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.message = message
        self.file = file
        self.chain = chain
        self.residue = residue
        self.remedy = remedy
        super().__init__(message)

    def __str__(self) -> str:
        where = [
            f"{label} {_shown(value)}"
            for label, value in (("file", self.file), ("chain", self.chain), ("residue", self.residue))
            if value is not None
        ]
        text = self.message
        if where:
            text += f" ({', '.join(where)})"
        if self.remedy:
            text += f". {self.remedy}"
        return text


def _shown(value: str) -> str:
    """A name from a file in a message: a blank one in words, control characters (which rule terminals) as ``?``."""
    return "".join(c if c.isprintable() else "?" for c in value) if value.strip() else "(blank)"


class InputError(RefineError):
    """The input cannot be used as it is (exit code 2)."""

    exit_code = 2


class ModelError(RefineError):
    """A trained file is missing, damaged or does not fit this version (exit code 2)."""

    exit_code = 2


class EngineError(RefineError):
    """A calculation could not be completed (exit code 4: nothing produced)."""

    exit_code = 4
