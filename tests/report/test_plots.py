"""Figures hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from refine.errors import InputError
from refine.report import plots
from refine.run.result import RunResult, read_run
from tests.run.run_folder import make_run, two_chains


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return read_run(make_run(tmp_path_factory.mktemp("run") / "run", two_chains()))


def test_traces_and_tracks_are_the_tables_columns(result: RunResult) -> None:
    energy = plots.plot_trace(result).axes[0]
    np.testing.assert_allclose(
        [line.get_ydata() for line in energy.lines], result.trace[["energy_1", "energy_2"]].to_numpy().T
    )
    drawn = plots.plot_residues(result, "displacement", "model_2").axes[0].lines[1].get_ydata()
    np.testing.assert_allclose(drawn, result.per_residue.query("model == 'model_2'")["displacement"])


def test_maps_and_the_pair(result: RunResult) -> None:
    np.testing.assert_allclose(plots.plot_rpdd(result, "mean").axes[0].images[0].get_array(), result.rpdd.mean)
    difference = plots.plot_rpdd(result, "difference").axes[0].images[0].get_array()
    assert abs(difference[0, 10]) < 1.0 and difference[0, 0] == 0
    bars = [bar.get_height() for bar in plots.plot_pair(result, 0, 5).axes[0].patches]
    assert len(bars) == 64 and sum(bars) == pytest.approx(1, abs=1e-3)


def test_residues_have_author_numbers_and_chains_borders(result: RunResult) -> None:
    for ax in (plots.plot_residues(result).axes[0], plots.plot_rpdd(result).axes[0]):
        write = ax.xaxis.get_major_formatter()
        assert [write(k, 0) for k in (0, 5, 24, 47, 48)] == ["A:10", "A:14A", "B:10", "B:33", ""]
        borders = [line.get_xdata()[0] for line in ax.lines if len(set(line.get_xdata())) == 1]
        assert borders == [23.5]
    assert plots.plot_ramachandran(result).axes[0].get_aspect() == 1.0


def test_each_gives_a_figure_and_refuses_what_is_not_there(result: RunResult) -> None:
    assert isinstance(plots.plot_ramachandran(result, "model_2"), Figure)
    with pytest.raises(InputError, match="no map"):
        plots.plot_rpdd(result, "sum")
    with pytest.raises(InputError, match="no pair"):
        plots.plot_pair(result, 3, 3)
    with pytest.raises(InputError, match="nonsense"):
        plots.plot_residues(result, "nonsense")
