"""The table of benchmarks/README.md on the methods of the seeds: what each is for, its figure, whether it helps to
refine. Figures are those of benchmarks/results/seeds, so the table cannot say anything else.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

from refine.bench.tables import table


@dataclasses.dataclass(frozen=True)
class Method:
    """A row.

    Attributes:
        name: of the method; purpose: what it is for here.
        file: stem of its result; figures: pairs of a text with one ``{}`` and the number of the result it holds, with
            its format.
        refinement: where it helps to refine a model and where it does not.
    """

    name: str
    purpose: str
    file: str
    figures: tuple[tuple[str, str], ...]
    refinement: str


METHODS = (
    Method(
        "density of variables from samples (VIFE)",
        "free energies of `refine explore`, terms learned from data",
        "three_wells",
        (("KL {:.3f} above the floor", "kl_above_floor"), ("well weights within {:.3f}", "well_weight_error")),
        "no: an annealed run is no sample of a free energy",
    ),
    Method(
        "leaders and chaser (RE-VIFE)",
        "the bias of `refine explore`",
        "alanine_dipeptide",
        (
            ("C7ax after {:.0f} ps", "first_c7ax_ps"),
            ("{:.0f} crossings of phi a ns", "phi_crossings_per_ns_second_ns"),
            ("two runs {:.2f} kcal/mol apart", "free_energy_difference_of_runs"),
        ),
        "other states of a model, not a better one",
    ),
    Method(
        "adversarial bias (TALOS)",
        "`refine explore --bias adversary`: from one structure to another",
        "adversarial_bias",
        (("W1 {:.2f} of its start", "w1_share_of_start"), ("{:.1f} weighted samples", "kish")),
        "no: its weights are worth too few samples for averages",
    ),
    Method(
        "metastable states (IDM)",
        "`refine states`",
        "metastable_states",
        (
            ("{:.0f} states at 2 ps", "states_500K_2ps"),
            ("{:.0f} at 20 ps", "states_500K_20ps"),
            ("agreement with core sets {:.2f}", "ami_core_sets_500K_20ps"),
        ),
        "says what an ensemble consists of",
    ),
    Method(
        "sampler from forces alone (reverse KL), double well",
        "behind `refine variables`",
        "reverse_kl",
        (
            ("minor well {:.4f}", "right_least"),
            ("to {:.4f} (exact 0.0083)", "right_most"),
            ("forward KL {:.4f}", "forward_kl"),
        ),
        "–",
    ),
    Method(
        "the same, alanine dipeptide",
        "`refine variables`: names the slow torsions of a peptide",
        "alanine_sampler",
        (
            ("bonds within {:.3f} Å", "heavy_bond_error"),
            ("alpha {:.2f} at least", "share_alpha"),
            ("correlation {:.2f}", "circular_correlation"),
        ),
        "no: peptides of at most 60 atoms",
    ),
    Method(
        "choice of what is simulated",
        "`refine promote`, `--promote` of `refine run` and `refine explore`",
        "promotion",
        (
            ("{:.0f} of 5 rare modes", "rare_modes_least"),
            ("random {:.1f}", "rare_modes_random"),
            ("covering radius {:.2f} of random's", "covering_radius_over_random"),
            ("busy {:.0%}", "utilisation"),
        ),
        "not shown for model 1",
    ),
    Method(
        "the same on models",
        "all-atom dynamics of snapshots of a run",
        "promoted_models",
        (
            ("coverage {:.2f} of random's", "coverage_over_random"),
            ("best {:+.2f} GDT-HA against random", "best_gain_over_random"),
            ("first {:+.2f} against model 1", "first_gain_over_model_1"),
        ),
        "wider ensembles; no better model 1 is shown",
    ),
    Method(
        "coarse models to all atoms",
        "CA traces, backbones and side-chain centres as inputs; `refine embed`",
        "backmapping",
        (
            ("backbone {:.2f} Å", "ours_ca_backbone_rmsd_median"),
            ("chi1 {:.1%}", "ours_ca_chi1"),
            ("from distances {:.2f} Å", "distances_ca_rmsd_median"),
        ),
        "makes such inputs refinable at all",
    ),
    Method(
        "dynamics of few coordinates",
        "library (`refine/propagation/latent.py`)",
        "latent_langevin",
        (
            ("cosine off by {:.3f}", "tv_cosine"),
            ("with the printed potential {:.3f}", "tv_cosine_printed"),
        ),
        "no command uses it",
    ),
    Method(
        "the same, efficiency",
        "–",
        "latent_efficiency",
        (("{:.1f} times the samples of BAOAB for a force evaluation", "efficiency_over_baoab"),),
        "only where the free energy is known",
    ),
)
TOO_DEAR = (
    "Not done, as it costs more than 15 minutes on two cores: explicit water (about 2,000 atoms around alanine "
    "dipeptide run 30 to 40 ns a day, so that the nanosecond of a figure takes about an hour; an estimate), the "
    "reaction with quantum forces (every step needs an electronic structure calculation), long trajectories of "
    "chignolin, and the sampler in Cartesian coordinates without data (a first trial had no molecule after 1,185 "
    "updates of 21 ms, and 20,000 with 2,000 samples are asked for)."
)


def seeds_section(results: Path) -> Iterator[str]:
    """The table of methods whose result files are there, and what is not done."""
    lines = []
    for method in METHODS:
        path = results / f"{method.file}.json"
        if path.is_file():
            lines.append(_line(method, json.loads(path.read_text(encoding="utf-8"))))
    if not lines:
        return
    yield (
        "**Methods of the seeds**, each with its script of the name NAME in `benchmarks/seeds`; the figures are those "
        "of its file in `benchmarks/results/seeds`, where all of them stand with their limits:"
    )
    yield table(["method", "what for", "NAME", "figures", "limits kept", "does it help to refine?"], lines)
    yield TOO_DEAR


def _line(method: Method, result: dict[str, dict[str, float]]) -> list[str]:
    numbers, passed = result["numbers"], result["passed"]
    figures = [text.format(numbers[name]) for text, name in method.figures if numbers.get(name) is not None]
    missed = [name for name, held in passed.items() if not held]
    kept = f"{len(passed) - len(missed)} of {len(passed)}"
    kept += f" (not {', '.join(missed)})" if missed else ""
    return [method.name, method.purpose, f"`{method.file}`", "; ".join(figures), kept, method.refinement]
