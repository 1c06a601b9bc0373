"""Options of ``refine explore`` and ``refine states``, and what they ask for. No logic of their own."""

from __future__ import annotations

import argparse
from pathlib import Path

from refine.sampling.kinds import BIASES


def explore_options(to: argparse.ArgumentParser) -> None:
    """Add those of ``refine explore``."""
    to.add_argument("input", nargs="?", type=Path, metavar="INPUT", help="PDB or mmCIF file, or a run folder (model 1)")
    to.add_argument("--sequence", metavar="ACE-ALA-NME", help="a peptide instead of an input")
    to.add_argument(
        "--variables", type=Path, metavar="FILE", help='lines such as "torsion A:12 phi", "distance A:5 CA A:20 CA"'
    )
    to.add_argument("--ns", type=float, help="length of the dynamics in nanoseconds (default 1)")
    to.add_argument("--bias", choices=BIASES, help="what steers the dynamics (default chaser)")
    to.add_argument("--loop", metavar="RESIDUES", help='residues that are free, e.g. "A:40-52"; others rest')
    to.add_argument("--towards", type=Path, metavar="FILE", help="a second structure of the same, for --bias adversary")
    to.add_argument("--temperature", type=float, metavar="K", help="default 300")
    to.add_argument("--models", type=int, help="states written at most (default 10)")
    to.add_argument("--seed", type=int, help="seed of velocities, noise and networks (default 0)")
    to.add_argument("--promote", type=int, metavar="N", help="then simulate N snapshots, unbiased (refine promote)")
    to.add_argument("--out", type=Path, help="run folder (default NAME_explored)")
    to.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")
    to.add_argument("--settings", type=Path, metavar="FILE.toml", help="settings; options given here win")
    to.add_argument("--quiet", action="store_true", help="no progress")


def states_options(to: argparse.ArgumentParser) -> None:
    """Add those of ``refine states``."""
    to.add_argument(
        "input", type=Path, metavar="RUN|TRAJECTORY", help="folder of refine explore or refine run, or a file of MODELs"
    )
    to.add_argument("--lag", required=True, metavar="2,20,200", help="lag times: ps of explorations, else frames")
    to.add_argument("--most", type=int, help="largest number of states (default 16)")
    to.add_argument("--seed", type=int, default=0, help="seed of the networks (default 0)")
    to.add_argument("--out", type=Path, help="folder (default NAME_states)")
    to.add_argument("--resume", action="store_true", help="skip what is done")
    to.add_argument("--quiet", action="store_true", help="no progress")


def residue_options(to: argparse.ArgumentParser) -> None:
    """Add those of ``refine simulate-residue``."""
    to.add_argument("name", metavar="NAME", help="one letter, or the force field's name: SER, ASH, HIP, HYP")
    to.add_argument(
        "--parameters", type=Path, action="append", default=[], metavar="FILE.xml",
        help="OpenMM force field of a residue that ff14SB does not have; repeatable",
    )  # fmt: skip
    to.add_argument("--ns", type=float, help="length of the part that is averaged, nanoseconds (default 3)")
    to.add_argument("--temperature", type=float, metavar="K", help="default 300")
    to.add_argument("--seed", type=int, help="seed of velocities and noise (default 0)")
    to.add_argument("--out", type=Path, metavar="FILE.npz", help="default NAME_torsions.npz")
    to.add_argument("--quiet", action="store_true", help="no progress")


def variables_options(to: argparse.ArgumentParser) -> None:
    """Add those of ``refine variables``."""
    to.add_argument("sequence", metavar="ACE-ALA-NME", help="three-letter codes of a peptide without rings")
    to.add_argument("--count", type=int, default=2, help="torsions that are named at most (default 2)")
    to.add_argument("--temperature", type=float, default=300.0, metavar="K", help="default 300")
    to.add_argument("--seed", type=int, default=0, help="seed of the learning (default 0)")
    to.add_argument("--out", type=Path, help="file for refine explore --variables (default SEQUENCE_variables.txt)")
    to.add_argument("--quiet", action="store_true", help="no progress")
