"""Reference distributions of backbone and side-chain torsions, derived from high-resolution structures.

The tables lie beside this module (``tables/*.npz``, no pickled arrays) and are made by
``benchmarks/derive_reference.py``, whose docstring states the source, the filters and the smoothing. Angles in radians.
"""

from __future__ import annotations

import dataclasses
import functools
from importlib import resources

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from refine.constants import AMINO_ACIDS, CHI_ATOMS, CHI_PERIOD_180
from refine.errors import ModelError

TWO_PI = 2 * np.pi


@dataclasses.dataclass(frozen=True)
class RamachandranTable:
    """Log densities of (phi, psi) for five classes of residues.

    Attributes:
        classes: names, ("general", "glycine", "proline", "pre-proline", "ile-val").
        values: (5, n, n) float32, log of the density per rad²; node (i, j) lies at phi = -π + i·2π/n, psi = -π +
            j·2π/n; periodic.
        favoured: (5,) log density above which 98 % of the residues lie.
        allowed: (5,) log density above which 99.95 % (general) or 99.9 % (other classes) lie; below it is an outlier.
    """

    classes: tuple[str, ...]
    values: NDArray[np.float32]
    favoured: NDArray[np.float32]
    allowed: NDArray[np.float32]

    def classify(self, sequence: str, bonded: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Class index (L,) of each residue: glycine and proline first, then before proline, then Ile/Val, else
        general.
        """
        index = np.zeros(len(sequence), dtype=np.int64)
        for i, aa in enumerate(sequence):
            if aa in "GP":
                index[i] = 1 if aa == "G" else 2
            elif bonded[i] and sequence[i + 1] == "P":
                index[i] = 3
            elif aa in "IV":
                index[i] = 4
        return index

    def interpolate(self, phi: Tensor, psi: Tensor, kind: Tensor) -> Tensor:
        """Log density at (phi, psi), any broadcastable shape; ``kind`` int64 class indices. Differentiable, C¹,
        periodic.

        Bicubic (Catmull-Rom) interpolation of the grid: nodes are met exactly; the gradient is continuous.
        """
        grid = torch.as_tensor(self.values, dtype=phi.dtype, device=phi.device)
        n = grid.shape[-1]
        phi, psi, kind = torch.broadcast_tensors(phi, psi, kind)
        x, y = (phi + np.pi) * (n / TWO_PI), (psi + np.pi) * (n / TWO_PI)
        i, j = torch.floor(x.detach()), torch.floor(y.detach())
        weight_x, weight_y = _catmull_rom(x - i), _catmull_rom(y - j)
        offset = torch.arange(-1, 3, device=phi.device)
        rows = torch.remainder(i.long().unsqueeze(-1) + offset, n)
        columns = torch.remainder(j.long().unsqueeze(-1) + offset, n)
        patch = grid[kind[..., None, None], rows.unsqueeze(-1), columns.unsqueeze(-2)]
        return (weight_x.unsqueeze(-1) * weight_y.unsqueeze(-2) * patch).sum((-1, -2))

    def log_density(
        self, phi: NDArray[np.floating], psi: NDArray[np.floating], kind: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Log density per rad² at (phi, psi) in radians for class indices ``kind``, as ``interpolate``; NaN angles give
        NaN.
        """
        phi, psi = np.asarray(phi, np.float64), np.asarray(psi, np.float64)
        finite = np.isfinite(phi) & np.isfinite(psi)
        value = self.interpolate(
            torch.from_numpy(np.where(finite, phi, 0.0)),
            torch.from_numpy(np.where(finite, psi, 0.0)),
            torch.from_numpy(np.asarray(kind)),
        ).numpy()
        return np.where(finite, value, np.nan)


@dataclasses.dataclass(frozen=True)
class Rotamers:
    """Rotamers of one residue type, most frequent first; n torsions, K rotamers.

    Attributes:
        probability: (K,) sums to 1.
        mean, sd: (K, n) rad.
        period: (n,) rad, π for torsions with a symmetric end, else 2π.
        backbone: (K, 18, 18) probability given the backbone; node (i, j) at phi = -180° + 20° i, psi = -180° + 20° j.
        favoured, allowed: log densities above which 98 % and 99.7 % of the residues lie; below ``allowed`` is an
            outlier.
        background: weight of the uniform density in ``log_density``.
    """

    probability: NDArray[np.float64]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    period: NDArray[np.float64]
    backbone: NDArray[np.float64]
    favoured: float
    allowed: float
    background: float

    def deviation(self, chi: NDArray[np.floating]) -> NDArray[np.float64]:
        """Signed differences (..., K, n) in rad of torsions (..., n) from every rotamer's mean, nearest image."""
        delta = np.asarray(chi, np.float64)[..., None, :] - self.mean
        return delta - self.period * np.rint(delta / self.period)

    def log_density(self, chi: NDArray[np.floating]) -> NDArray[np.float64]:
        """Log of the mixture density (...) at torsions (..., n) in rad; NaN where a torsion is NaN."""
        finite = np.isfinite(chi).all(-1)
        z = self.deviation(np.where(finite[..., None], chi, 0.0)) / self.sd
        parts = -0.5 * (z**2).sum(-1) - np.log(self.sd * np.sqrt(TWO_PI)).sum(-1) + np.log(self.probability)
        peak = parts.max(-1, keepdims=True)
        mixture = peak[..., 0] + np.log(np.exp(parts - peak).sum(-1))
        value = np.logaddexp(mixture, np.log(self.background) - np.log(self.period).sum())
        return np.where(finite, value, np.nan)

    def given_backbone(self, phi: float, psi: float) -> NDArray[np.float64]:
        """Probabilities (K,) at phi, psi in rad, bilinear between grid nodes; without a backbone (NaN) the overall
        ones.
        """
        if not (np.isfinite(phi) and np.isfinite(psi)):
            return self.probability
        n = self.backbone.shape[-1]
        x, y = (phi + np.pi) * n / TWO_PI, (psi + np.pi) * n / TWO_PI
        i, j = int(np.floor(x)), int(np.floor(y))
        u, v = x - i, y - j
        rows, columns = np.array([i, i + 1]) % n, np.array([j, j + 1]) % n
        value = np.einsum("kij,i,j->k", self.backbone[:, rows][:, :, columns], [1 - u, u], [1 - v, v])
        return value / value.sum()


@dataclasses.dataclass(frozen=True)
class RotamerTable:
    """Rotamers of the 18 residue types that have torsions; ``table["L"]`` is leucine's."""

    types: dict[str, Rotamers]

    def __getitem__(self, aa: str) -> Rotamers:
        return self.types[aa]

    def __contains__(self, aa: str) -> bool:
        return aa in self.types


@functools.cache
def ramachandran() -> RamachandranTable:
    """The packaged Ramachandran table. Raises ModelError when the file is missing or damaged."""
    data = _load("ramachandran.npz", ("classes", "log_density", "favoured", "allowed"))
    return RamachandranTable(tuple(map(str, data["classes"])), data["log_density"], data["favoured"], data["allowed"])


@functools.cache
def rotamers() -> RotamerTable:
    """The packaged rotamer table. Raises ModelError when the file is missing or damaged."""
    data = _load(
        "rotamers.npz", ("residue", "probability", "mean", "sd", "backbone", "favoured", "allowed", "background")
    )
    types = {}
    for aa in AMINO_ACIDS:
        n = len(CHI_ATOMS[aa])
        if not n:
            continue
        rows = data["residue"] == aa
        types[aa] = Rotamers(
            probability=data["probability"][rows].astype(np.float64),
            mean=data["mean"][rows, :n].astype(np.float64),
            sd=data["sd"][rows, :n].astype(np.float64),
            period=np.array([np.pi if (aa, k) in CHI_PERIOD_180 else TWO_PI for k in range(n)]),
            backbone=data["backbone"][rows].astype(np.float64),
            favoured=float(data["favoured"][AMINO_ACIDS.index(aa)]),
            allowed=float(data["allowed"][AMINO_ACIDS.index(aa)]),
            background=float(data["background"]),
        )
    return RotamerTable(types)


def _catmull_rom(t: Tensor) -> Tensor:
    """Weights (..., 4) of the nodes at -1, 0, 1, 2 for a point at t in [0, 1)."""
    return torch.stack(
        (
            0.5 * (-t + 2 * t**2 - t**3),
            0.5 * (2 - 5 * t**2 + 3 * t**3),
            0.5 * (t + 4 * t**2 - 3 * t**3),
            0.5 * (-(t**2) + t**3),
        ),
        dim=-1,
    )


def _load(name: str, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    try:
        with (
            resources.files("refine.structure").joinpath("tables", name).open("rb") as handle,
            np.load(handle, allow_pickle=False) as archive,
        ):
            return {key: archive[key] for key in keys}
    except (OSError, KeyError, ValueError) as error:
        raise ModelError(f"packaged table {name} cannot be read: {error}", remedy="Install refine again") from error
