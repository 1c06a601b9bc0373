"""The command line: arguments in, exit code out. It holds no logic of its own."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import refine
from refine.bench.command import add_commands, teller
from refine.constants import DEVICES
from refine.errors import InputError, RefineError
from refine.explore.options import explore_options, residue_options, states_options, variables_options
from refine.files import write_output
from refine.parent import end_with_input
from refine.progress import Bar, PlainLines, Progress
from refine.propagation.settings import SPACES

if TYPE_CHECKING:  # torch is imported when a command needs it, so that --help is quick
    from refine.batch import Outcome
    from refine.run.result import RunResult
    from refine.settings import RunSettings

EXIT_CODES = "exit codes: 0 all done, 1 a bug, 2 bad input, 3 some of several inputs failed, 4 nothing produced"
SAME_NAME = ("seed", "device", "models", "model", "freeze", "heat", "keep_hands", "bfactor")
"""Options that set the field of RunSettings of their name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; gives the exit code."""
    end_with_input()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["train"]:
        return exit_code_of(lambda: train(arguments[1:]))
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("refine").propagate = False  # log.txt of the run folder is its place
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        return exit_code_of(lambda: options.work(options))
    finally:
        signal.signal(signal.SIGTERM, before)


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    top = argparse.ArgumentParser(prog="refine", description="Refine protein models.", epilog=EXIT_CODES)
    top.add_argument("--version", action="version", version=f"refine {refine.__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = command(commands, "run", "refine models", run_command)
    inputs(run)
    run.add_argument("--out", type=Path, help="run folder (default NAME_refined); several inputs get a sub-folder each")
    run.add_argument("--models", type=int, help="how many ranked models are written (default 5)")
    run.add_argument(
        "--steps", type=int, help="steps of the propagation (default 12, and up to 18 more where it settles)"
    )
    run.add_argument("--space", choices=SPACES, help="what a step moves (default cartesian)")
    run.add_argument("--seed", type=int, help="seed of the noise (default 0)")
    run.add_argument("--freeze", metavar="RESIDUES", help='residues that do not move, e.g. "A:10-25,B"')
    run.add_argument(
        "--evidence",
        action="append",
        metavar="FILE",
        help="what is known of distances: rows (.tsv, .toml), distogram (.npz), expected errors (.json); repeatable",
    )
    run.add_argument(
        "--template",
        action="append",
        metavar="FILE",
        help="structure of a relative, whose distances become evidence; repeatable",
    )
    run.add_argument(
        "--other-model",
        action="append",
        metavar="FILE",
        help="another model of the same protein, whose distances become evidence; repeatable",
    )
    run.add_argument(
        "--together",
        action="store_true",
        help="the inputs are models of one protein: each is refined with the others as evidence, and all are ranked",
    )
    run.add_argument(
        "--heat",
        metavar="RESIDUES=K",
        help='temperatures of the noise, e.g. "A:40-55=600", several separated by semicolons, or "confidence"',
    )
    run.add_argument(
        "--torsion-density",
        action="append",
        metavar="FILE|NAME",
        help="density of refine simulate-residue in place of the Ramachandran term of its residue; repeatable",
    )
    conditions(run)
    run.add_argument(
        "--bfactor", choices=("score", "error", "b"), help="B column: confidence 0-100, error in Å, or B factor"
    )
    run.add_argument("--resume", action="store_true", help="skip inputs that are done, start the others again")
    run.add_argument("--fast", action="store_true", help="one model, in fewer steps, a little less refined")
    run.add_argument("--promote", type=int, metavar="N", help="simulate N snapshots of the run (refine promote)")
    run.add_argument("--workers", type=int, default=1, metavar="N", help="inputs refined at the same time (default 1)")
    run.add_argument(
        "--scheduler", default="", metavar="ADDRESS", help="a running Dask scheduler, tcp://…, instead of own processes"
    )
    common(run)

    finish = command(commands, "finish", "complete side chains and relax, nothing else", finish_command)
    inputs(finish)
    finish.add_argument("--out", type=Path, help="folder (default NAME_finished)")
    finish.add_argument("--freeze", metavar="RESIDUES", help='residues that do not move, e.g. "A:10-25,B"')
    finish.add_argument("--ph", type=float, metavar="PH", help="of the hydrogens (default 7)")
    finish.add_argument("--resume", action="store_true", help="skip inputs that are done, start the others again")
    common(finish)

    score = command(commands, "score", "energy terms and quality as a table", score_command)
    inputs(score)
    conditions(score)
    score.add_argument("--out", type=Path, help="csv file (default: standard output)")
    common(score)

    rank = command(commands, "rank", "rank models of one protein by the judge and by their agreement", rank_models)
    inputs(rank)
    rank.add_argument("--out", type=Path, help="csv file (default: standard output)")
    common(rank)

    explore = command(commands, "explore", "find other states of a model or a peptide, by dynamics", explore_command)
    explore_options(explore)
    states = command(commands, "states", "find metastable states of a trajectory or an ensemble", states_command)
    states_options(states)
    residue = command(
        commands, "simulate-residue", "density of phi and psi of one residue between caps, by dynamics", residue_command
    )
    residue_options(residue)
    slow = command(commands, "variables", "the slow torsions of a peptide, learned from its forces", variables_command)
    variables_options(slow)
    promoted = command(
        commands, "promote", "simulate snapshots of a finished run or exploration, the novel first", promote_command
    )
    promoted.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run or exploration")
    promoted.add_argument("--count", type=int, default=4, metavar="N", help="snapshots that are simulated (default 4)")
    promoted.add_argument("--ps", type=float, default=5.0, help="length of each simulation in picoseconds (default 5)")
    promoted.add_argument("--seed", type=int, default=0, help="seed of velocities and noise (default 0)")
    promoted.add_argument(
        "--workers", type=int, default=1, metavar="N", help="simulations at the same time (default 1)"
    )
    promoted.add_argument("--scheduler", default="", metavar="ADDRESS", help="a running Dask scheduler, tcp://…")
    promoted.add_argument("--quiet", action="store_true", help="no progress")
    embed = command(commands, "embed", "a CA trace from distances alone, for run or finish", embed_command)
    embed.add_argument("distances", type=Path, metavar="DISTANCES.npz", help="distances (L, L) in Å, or a distogram")
    embed.add_argument("--sequence", required=True, metavar="LETTERS|FASTA", help="one-letter codes, or a FASTA file")
    embed.add_argument("--out", type=Path, help="PDB file (default NAME_trace.pdb)")

    page = command(commands, "report", "write report.html of a run folder anew", report_command)
    page.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    compared = command(
        commands, "compare", "compare a run with the native, on the terminal and in its report", compare_command
    )
    compared.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    compared.add_argument("native", type=Path, metavar="NATIVE", help="PDB or mmCIF file")

    commands.add_parser("train", help="train the networks (refine train --help)", add_help=False)
    doctor = command(
        commands,
        "doctor",
        "say what is installed, which device is used, whether the trained files are good",
        doctor_command,
    )
    doctor.add_argument("--settings", type=Path, metavar="FILE.toml")
    add_commands(commands, command)
    app = command(commands, "app", "start the web app", app_command)
    app.add_argument("--folder", type=Path, help="where the jobs are kept (default refine_jobs)")
    app.add_argument("--host", help="address to listen on (default 127.0.0.1: this machine only)")
    app.add_argument("--port", type=int, help="default 8501")
    app.add_argument("--at-once", type=int, help="jobs that run at the same time (default 1)")
    app.add_argument("--base", type=Path, metavar="FILE.toml", help="settings that every run starts from")
    app.add_argument(
        "--config",
        type=Path,
        metavar="FILE.toml",
        help="limits and all other settings of the app; options given here win",
    )
    return top


def command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    work: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    new = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", epilog=EXIT_CODES)
    new.set_defaults(work=work)
    return new


def inputs(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "inputs", nargs="+", type=Path, metavar="INPUT", help="PDB or mmCIF files, plain or gzipped, or folders of them"
    )
    to.add_argument("--model", type=int, metavar="N", help="which MODEL of the file (default: the first)")
    to.add_argument(
        "--keep-hands", action="store_true", default=None, help="leave wrong chirality of the input as it is"
    )


def conditions(to: argparse.ArgumentParser) -> None:
    to.add_argument("--temperature", type=float, metavar="K", help="of the protein as it is meant")
    to.add_argument("--ph", type=float, metavar="PH", help="charges of the term electrostatics, and hydrogens")
    to.add_argument("--ionic", type=float, metavar="M", help="ionic strength in mol/l, which screens charges")


def common(to: argparse.ArgumentParser) -> None:
    to.add_argument("--device", choices=DEVICES, help="default auto: a GPU when there is one")
    to.add_argument("--settings", type=Path, metavar="FILE.toml", help="settings; options given here win")
    to.add_argument("--quiet", action="store_true", help="no progress")


def settings_of(options: argparse.Namespace) -> RunSettings:
    """RunSettings of the settings file and of the options, which win."""
    from refine.settings import RunSettings, fast, read_settings

    settings = read_settings(options.settings) if options.settings else RunSettings()
    if getattr(options, "fast", False):
        settings = fast(settings)
    values = {name: getattr(options, name, None) for name in SAME_NAME}
    settings = dataclasses.replace(settings, **{k: v for k, v in values.items() if v is not None})
    if getattr(options, "evidence", None):
        settings = dataclasses.replace(settings, evidence=tuple(options.evidence))
    if getattr(options, "template", None):
        settings = dataclasses.replace(settings, template=tuple(options.template))
    if getattr(options, "other_model", None):
        settings = dataclasses.replace(settings, together=tuple(options.other_model))
    if getattr(options, "torsion_density", None):
        energy = dataclasses.replace(settings.energy, torsion_densities=tuple(options.torsion_density))
        settings = dataclasses.replace(settings, energy=energy)
    given = {name: getattr(options, name, None) for name in ("temperature", "ph", "ionic")}
    given = {name: value for name, value in given.items() if value is not None}
    settings = dataclasses.replace(settings, conditions=dataclasses.replace(settings.conditions, **given))
    plan = {name: value for name in ("steps", "space") if (value := getattr(options, name, None)) is not None}
    return dataclasses.replace(settings, propagation=dataclasses.replace(settings.propagation, **plan))


def run_command(options: argparse.Namespace) -> int:
    from refine import batch, pipeline
    from refine.promote import promote_run

    settings, items = settings_of(options), batch.plan(options.inputs, options.out, "refined")
    if options.promote and (options.together or options.workers != 1 or options.scheduler):
        raise InputError(
            "--promote is for one run after the other",
            remedy="Leave --together, --workers and --scheduler out, and call refine promote on each run",
        )
    if options.together:
        from refine.together import run_together

        if options.workers != 1 or options.scheduler:
            raise InputError(
                "--together refines one model after the other", remedy="Leave --workers and --scheduler out"
            )
        outcomes, lines = run_together(items, settings, progress_for(options), resume=options.resume)
        code = report(outcomes)
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        return code
    if options.workers != 1 or options.scheduler:
        from refine.many import run_many

        how = {"workers": options.workers, "scheduler": options.scheduler, "resume": options.resume}
        return report(run_many(items, settings, tell=teller(options), **how))

    def work(item: batch.BatchItem, progress: Progress) -> pipeline.RunResult:
        result = pipeline.refine_file(item.path, item.out, settings, progress, resume=options.resume)
        if options.promote:
            promote_run(item.out, options.promote, seed=settings.seed, progress=progress)
        return result

    return report(batch.run_all(items, work, progress_for(options)))


def finish_command(options: argparse.Namespace) -> int:
    from refine import batch, pipeline

    settings = settings_of(options)

    def work(item: batch.BatchItem, progress: Progress) -> pipeline.RunResult:
        return pipeline.finish_file(item.path, item.out, settings, progress, resume=options.resume)

    return report(batch.run_all(batch.plan(options.inputs, options.out, "finished"), work, progress_for(options)))


def score_command(options: argparse.Namespace) -> int:
    from refine import batch

    text, outcomes = batch.score_all(options.inputs, settings_of(options))
    if options.out and text:
        write_output(options.out, text)
    else:
        sys.stdout.write(text)
    return report(outcomes, quiet=True)


def rank_models(options: argparse.Namespace) -> int:
    from refine.ranking import rank_files

    text, outcomes, notes = rank_files(options.inputs, settings_of(options), progress_for(options))
    if options.out and text:
        write_output(options.out, text)
    else:
        sys.stdout.write(text)
    sys.stderr.write("".join(f"refine: {note}\n" for note in notes))
    return report(outcomes, quiet=True)


def explore_command(options: argparse.Namespace) -> int:
    from refine import batch
    from refine.explore.input import default_out
    from refine.explore.run import explore_file, settings_with
    from refine.promote import promote_run

    if options.promote and options.sequence:
        raise InputError("--promote is for models, a peptide has no coarser scale", remedy="Leave --promote out")
    out = options.out or default_out(options.input, options.sequence, "explored")
    names = ("ns", "bias", "loop", "temperature", "models", "seed")
    settings = settings_with(options.settings, {name: getattr(options, name) for name in names})
    given = {name: getattr(options, name) for name in ("sequence", "variables", "towards", "resume")}

    def work(item: batch.BatchItem, progress: Progress) -> RunResult:
        result = explore_file(options.input, item.out, settings, progress, **given)
        if options.promote:
            promote_run(item.out, options.promote, seed=settings.seed, progress=progress)
        return result

    items = [batch.BatchItem(options.input or Path(options.sequence or "peptide"), out)]
    return report(batch.run_all(items, work, progress_for(options)))


def states_command(options: argparse.Namespace) -> int:
    from refine import batch
    from refine.explore.input import default_out
    from refine.explore.states import states_of

    out = options.out or default_out(options.input, None, "states")
    given = {name: getattr(options, name) for name in ("lag", "most", "seed", "resume")}

    def work(item: batch.BatchItem, progress: Progress) -> RunResult:
        return states_of(item.path, item.out, progress, **given)

    return report(batch.run_all([batch.BatchItem(options.input, out)], work, progress_for(options)))


def residue_command(options: argparse.Namespace) -> int:
    from refine.energy.torsion_density import write_density
    from refine.sampling.residue import ResidueSettings, simulate_residue, summary

    given = {name: getattr(options, name) for name in ("ns", "temperature", "seed")}
    settings = ResidueSettings(**{name: value for name, value in given.items() if value is not None})
    tell = progress_for(options)(options.name)
    made = simulate_residue(options.name, settings, options.parameters, lambda k, of: tell("sample", k, of))
    tell("done")
    out = options.out or Path(f"{made.residue}_torsions.npz")
    write_density(made, out)
    sys.stdout.write(f"{summary(made)}{out}\n")
    return 0


def variables_command(options: argparse.Namespace) -> int:
    import torch

    from refine.explore.slow_torsions import write_variables

    torch.set_num_threads(1)  # its matrices are small: several threads spend the time waiting for each other
    out = options.out or Path(f"{options.sequence.lower()}_variables.txt")
    given = {name: getattr(options, name) for name in ("count", "temperature", "seed")}
    sys.stdout.write(
        f"{write_variables(options.sequence, out, progress=progress_for(options)('variables'), **given)}\n"
    )
    return 0


def promote_command(options: argparse.Namespace) -> int:
    from refine.promote import promote_run

    given = {name: getattr(options, name) for name in ("ps", "seed", "workers", "scheduler")}
    table = promote_run(options.run, options.count, progress=progress_for(options)(options.run.name), **given)
    sys.stdout.write(f"{table}\n")
    return 0


def embed_command(options: argparse.Namespace) -> int:
    from refine.files import stem
    from refine.structure.distance_file import trace_of_file
    from refine.structure.write import write_pdb

    out = options.out or Path(f"{stem(options.distances)}_trace.pdb")
    write_pdb(trace_of_file(options.distances, options.sequence), out)
    sys.stdout.write(f"{out}\n")
    return 0


def report_command(options: argparse.Namespace) -> int:
    from refine.report.page import write_report

    sys.stdout.write(f"{write_report(options.run)}\n")
    return 0


def compare_command(options: argparse.Namespace) -> int:
    from refine.report.comparison import compare_run

    comparison = compare_run(options.run, options.native)
    sys.stdout.write(f"{comparison.table()}{comparison.report}\n")
    return 0


def doctor_command(options: argparse.Namespace) -> int:
    from refine.doctor import examine

    text, code = examine(settings_of(options))
    sys.stdout.write(text)
    return code


def app_command(options: argparse.Namespace) -> int:
    from refine.queue.serve import serve, settings_with

    values = {name: getattr(options, name) for name in ("folder", "host", "port", "at_once", "base")}
    return serve(settings_with(options.config, {k: v for k, v in values.items() if v is not None}))


def train(arguments: Sequence[str]) -> int:
    from refine.training import command

    return int(command.main(list(arguments)) or 0)


def progress_for(options: argparse.Namespace) -> Callable[[str], Progress]:
    """A progress display for each input, as the terminal and ``--quiet`` have it."""
    if options.quiet:
        return lambda label: Progress()
    display = Bar if sys.stderr.isatty() else PlainLines
    return lambda label: Progress(display(label=label))


def report(outcomes: Sequence[Outcome], quiet: bool = False) -> int:
    """Print how the inputs ended; gives the exit code."""
    from refine import batch

    for outcome in outcomes:
        if outcome.error:
            sys.stderr.write(f"refine: {outcome.error}\n")
        elif not quiet:
            sys.stdout.write(f"{outcome.message}\n")
    return batch.exit_code(outcomes)


def exit_code_of(work: Callable[[], int]) -> int:
    """Do ``work``; an error made for the user is printed without a traceback."""
    try:
        return work()
    except RefineError as error:
        sys.stderr.write(f"refine: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("refine: interrupted\n")
        return 4
    except BrokenPipeError:
        sys.stderr.close()
        return 4


def interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a run as Ctrl-C does: what is computed stays, run.json says so."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
