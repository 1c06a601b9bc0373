"""The methods of a benchmark: controls, our runs with any settings, and other programs by their command line."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refine.errors import InputError
from refine.settings import RunSettings, from_dict
from refine.settings_checks import above
from refine.settings_file import build_settings, read_toml

KINDS = ("start", "ours", "relax", "random", "command")
DEFAULT = ("start", "random", "relax", "ours")
COMMAND_SECONDS = 3600.0
NO_CAP = 86_400.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@dataclasses.dataclass(frozen=True)
class Method:
    """One method, as plain values that travel to workers.

    Attributes:
        name: unique; a column of tables and the name of a folder.
        kind: ``start`` (the input resubmitted), ``ours`` (a default run), ``relax`` (side chains and restrained
            minimisation alone), ``random`` (the displacements of the method ``like`` from where its propagation starts,
            in a random direction, then the same finishing) or ``command``.
        settings: of ours, relax and random, as ``RunSettings.to_dict`` gives them.
        command: template of another program; ``{model}`` is its input, ``{out}`` the PDB file it must write,
            ``{target}`` the name of the target, ``{folder}`` a scratch folder of its own.
        seconds: time limit of the command.
        like: of random.
    """

    name: str
    kind: str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    command: str = ""
    seconds: float = COMMAND_SECONDS
    like: str = ""

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"method name {self.name!r} cannot be a folder name", remedy="Use letters, digits, and . _ + -"
            )
        if self.kind == "command":
            words = split_command(self)
            if not any("{model}" in w for w in words) or not any("{out}" in w for w in words):
                raise InputError(f"the command of method {self.name} must contain {{model}} and {{out}}")

    def run_settings(self) -> RunSettings:
        """The settings of its run."""
        return from_dict(self.settings)


def split_command(method: Method) -> list[str]:
    """Words of the command template, as a shell would split them; there is no shell."""
    try:
        words = shlex.split(method.command)
    except ValueError as error:
        raise InputError(f"the command of method {method.name} cannot be split: {error}") from error
    if not words:
        raise InputError(f"the command of method {method.name} is empty")
    return words


def bench_settings(settings: RunSettings) -> dict[str, Any]:
    """``settings`` as a benchmark uses them: finishing in the worker's own process, one thread, and no time cap that a
    busy machine hits.

    With a cap in wall time the result would depend on the number of workers; the minimiser's own limits end it in
    seconds.
    """
    finishing = dataclasses.replace(settings.finishing, threads=1, max_seconds=NO_CAP)
    return dataclasses.replace(settings, workers=1, finishing=finishing).to_dict()


def plan_methods(
    settings: RunSettings,
    wanted: Sequence[str] = DEFAULT,
    variants: Mapping[str, RunSettings] | None = None,
    commands: Sequence[Method] = (),
) -> tuple[Method, ...]:
    """Methods in the order they are computed: the start, ours and its variants, relax, random, other programs.

    Args:
        settings: of ours, and of the finishing in relax and random.
        wanted: of ``DEFAULT``; the start is always there, random brings ours with it.
        variants: more runs of ours with settings of their own.
        commands: other programs (``command_method``, ``read_commands``).

    Raises:
        InputError: an unknown or repeated name.
    """
    unknown = sorted(set(wanted) - set(DEFAULT))
    if unknown:
        raise InputError(
            f"unknown method {unknown[0]!r}", remedy=f"Use {', '.join(DEFAULT)}; other programs come with --command"
        )
    plain = bench_settings(settings)
    methods = [Method("start", "start")]
    if {"ours", "random"} & set(wanted):
        methods.append(Method("ours", "ours", plain))
    methods += [Method(name, "ours", bench_settings(chosen)) for name, chosen in (variants or {}).items()]
    if "relax" in wanted:
        methods.append(Method("relax", "relax", plain))
    if "random" in wanted:
        methods.append(Method("random", "random", plain, like="ours"))
    methods += commands
    names = [method.name for method in methods]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two methods are called {twice[0]!r}", remedy="Rename one")
    return tuple(methods)


def command_method(text: str) -> Method:
    """A method of ``NAME=prog {model} {out}``; raises InputError."""
    name, equals, command = text.partition("=")
    if not equals:
        raise InputError(
            f"{text!r} is not NAME=COMMAND", remedy="For example --command 'peer=peer_program {model} {out}'"
        )
    return Method(name.strip(), "command", command=command.strip())


def read_commands(path: Path) -> tuple[Method, ...]:
    """Methods of a TOML file: a table for each, with ``command`` and, if wanted, ``seconds``.

    Raises:
        InputError: unreadable, not TOML, an unknown key, a missing command.
    """
    return read_toml(path, _commands)


@dataclasses.dataclass(frozen=True)
class _Program:
    """A table of the file of other programs; attributes as of ``Method``."""

    command: str = ""
    seconds: float = COMMAND_SECONDS


def _commands(tables: Mapping[str, Any]) -> tuple[Method, ...]:
    methods = []
    for name, table in tables.items():
        if not isinstance(table, Mapping) or "command" not in table:
            raise InputError(f"method {name} needs a table with a command")
        program = build_settings(_Program, table, f"{name}.")
        above(f"{name}.seconds", program.seconds, 0)
        methods.append(Method(name, "command", command=program.command, seconds=program.seconds))
    return tuple(methods)
