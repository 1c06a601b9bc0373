"""``refine bench`` and ``refine bench-rank``: options in, calls out. No logic of its own."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from refine.constants import DEVICES
from refine.errors import InputError

if TYPE_CHECKING:  # torch is imported when a command needs it, so that --help is quick
    from refine.settings import RunSettings

Work = Callable[[argparse.Namespace], int]
Register = Callable[["argparse._SubParsersAction[argparse.ArgumentParser]", str, str, Work], argparse.ArgumentParser]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser], command: Register) -> None:
    """Add both commands to the parser of ``refine``; ``command`` makes a sub-parser."""
    bench = command(commands, "bench", "run methods on targets with known natives and compare them", bench_command)
    bench.add_argument(
        "manifest", type=Path, metavar="MANIFEST", help="tab-separated, with the columns target, model, native"
    )
    bench.add_argument("--methods", default="start,random,relax,ours", help="of start,random,relax,ours (default all)")
    bench.add_argument(
        "--variant", action="append", default=[], metavar="NAME=FILE.toml", help="ours once more with other settings"
    )
    bench.add_argument(
        "--command",
        action="append",
        default=[],
        dest="programs",
        metavar="NAME='PROGRAM {model} {out}'",
        help="another program",
    )
    bench.add_argument("--commands", type=Path, metavar="FILE.toml", help="other programs, a table for each")
    bench.add_argument(
        "--against", default="ours", metavar="METHOD", help="method that paired tests compare with the others"
    )
    bench.add_argument("--seed", type=int, default=0, help="of the random direction (default 0)")
    bench.add_argument("--report-only", action="store_true", help="compute nothing; write the reports of what is there")
    bench.add_argument("--casp", action="store_true", help="write CASP TS files (MODEL 1-5) of our models")
    bench.add_argument("--keep-ensembles", action="store_true", help="keep ensemble.pdb and rpdd.npz of our runs")
    shared(bench, "bench_out")

    rank = command(
        commands, "bench-rank", "score decoys with known natives and see how well scores rank them", rank_command
    )
    rank.add_argument(
        "manifest",
        type=Path,
        metavar="DECOYS",
        help="folder of target folders with native.pdb and decoys, or a manifest",
    )
    rank.add_argument(
        "--near", type=float, metavar="GDT-TS", help="from which GDT-TS on a decoy is near-native (default: best fifth)"
    )
    rank.add_argument("--voromqa", default="voronota-voromqa", metavar="PROGRAM", help="used when it is installed")
    shared(rank, "rank_out")


def shared(to: argparse.ArgumentParser, out: str) -> None:
    """Options of both commands."""
    to.add_argument("--out", type=Path, default=Path(out), help=f"folder (default {out})")
    to.add_argument("--root", type=Path, help="what paths in the manifest are relative to (default: its folder)")
    to.add_argument("--set", dest="chosen_set", help="only rows with this value in the column 'set'")
    to.add_argument(
        "--split",
        choices=("tune", "check", "all"),
        default="all",
        help="fixed halves of the targets, by hash of the name",
    )
    to.add_argument("--targets", default="", help="only these, separated by commas")
    to.add_argument("--settings", type=Path, metavar="FILE.toml", help="settings of our method")
    to.add_argument("--device", choices=DEVICES, help="default auto: a GPU when there is one")
    to.add_argument("--networks", help="trained files: a name, a folder, or none (default: that of the settings)")
    to.add_argument("--workers", type=int, default=1, help="processes of one thread each (default 1)")
    to.add_argument(
        "--scheduler", default="", metavar="ADDRESS", help="a running Dask scheduler, tcp://…, instead of own processes"
    )
    to.add_argument("--resume", action="store_true", help="go on in a folder that holds results")
    to.add_argument("--quiet", action="store_true", help="no progress")


def bench_command(options: argparse.Namespace) -> int:
    from refine.bench.casp import write_casp_files
    from refine.bench.manifest import read_manifest
    from refine.bench.methods import command_method, plan_methods, read_commands
    from refine.bench.run import TABLE, Bench, run_bench, write_reports

    programs = [command_method(text) for text in options.programs] + list(
        read_commands(options.commands) if options.commands else ()
    )
    wanted = tuple(name.strip() for name in options.methods.split(",") if name.strip())
    methods = plan_methods(settings_of(options), wanted, variants_of(options.variant), programs)
    targets = read_manifest(
        options.manifest,
        root=options.root,
        chosen_set=options.chosen_set,
        split=options.split,
        names=names_of(options.targets),
    )
    label = " ".join(
        part for part in (options.manifest.name, options.chosen_set or "", f"split {options.split}") if part
    )
    bench = Bench(targets, methods, options.out, label, options.seed, options.against, options.keep_ensembles)
    if options.report_only:
        summary = write_reports(bench)
    else:
        summary = run_bench(
            bench, workers=options.workers, scheduler=options.scheduler, resume=options.resume, tell=teller(options)
        )
    if options.casp:
        write_casp_files(options.out, targets, methods)
    sys.stdout.write((options.out / TABLE).read_text(encoding="utf-8"))
    return exit_code(summary["results"] - sum(m["failed"] for m in summary["methods"].values()), summary["expected"])


def rank_command(options: argparse.Namespace) -> int:
    from refine.bench.decoys import find_decoys
    from refine.bench.rank import TABLE, RankingBench, run_ranking

    decoys = find_decoys(
        options.manifest,
        root=options.root,
        chosen_set=options.chosen_set,
        split=options.split,
        names=names_of(options.targets),
    )
    settings, label = settings_of(options), options.manifest.name
    ranking = RankingBench(decoys, settings, options.out, label, options.near, options.voromqa)
    summary = run_ranking(
        ranking, workers=options.workers, scheduler=options.scheduler, resume=options.resume, tell=teller(options)
    )
    sys.stdout.write((options.out / TABLE).read_text(encoding="utf-8"))
    return exit_code(summary["scored"], summary["expected"])


def settings_of(options: argparse.Namespace) -> RunSettings:
    """Settings of the file and of the options, which win."""
    from refine.many import travelling
    from refine.settings import RunSettings, read_settings

    settings = read_settings(options.settings) if options.settings else RunSettings()
    if options.device:
        settings = dataclasses.replace(settings, device=options.device)
    if options.networks:
        settings = dataclasses.replace(settings, networks=options.networks)
    return travelling(settings)


def variants_of(assignments: Sequence[str]) -> dict[str, RunSettings]:
    """Settings by name of ``NAME=FILE.toml``."""
    from refine.many import travelling
    from refine.settings import read_settings

    variants = {}
    for text in assignments:
        name, equals, path = text.partition("=")
        if not equals:
            raise InputError(f"--variant {text!r} is not NAME=FILE.toml", remedy="For example --variant hot=hot.toml")
        variants[name] = travelling(read_settings(Path(path)))
    return variants


def names_of(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def teller(options: argparse.Namespace) -> Callable[[str], None]:
    """Where progress goes."""

    def tell(line: str) -> None:
        if not options.quiet:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    return tell


def exit_code(done: int, expected: int) -> int:
    """0 when all is done, 3 when some is, 4 when nothing is."""
    return 0 if done >= expected else (3 if done > 0 else 4)
