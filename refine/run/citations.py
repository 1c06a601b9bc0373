"""cite.bib: what a paper that used a run should cite."""

from __future__ import annotations

CITE_BIB = """\
@article{cao2021gsfe,
  author = {Cao, Xiaoyong and Tian, Pu},
  title = {Molecular free energy optimization on a computational graph},
  journal = {RSC Advances}, volume = {11}, pages = {12929--12937}, year = {2021},
  note = {local distribution theory, GSFE}
}
@article{eastman2024openmm,
  author = {Eastman, Peter and others},
  title = {{OpenMM} 8: Molecular Dynamics Simulation with Machine Learning Potentials},
  journal = {The Journal of Physical Chemistry B}, volume = {128}, number = {1}, pages = {109--116}, year = {2024},
  note = {finishing}
}
@article{maier2015ff14sb,
  author = {Maier, James A. and Martinez, Carmenza and Kasavajhala, Koushik and Wickstrom, Lauren and others},
  title = {{ff14SB}: Improving the Accuracy of Protein Side Chain and Backbone Parameters from {ff99SB}},
  journal = {Journal of Chemical Theory and Computation}, volume = {11}, number = {8}, pages = {3696--3713}, \
year = {2015},
  note = {force field of finishing}
}
@article{onufriev2004obc,
  author = {Onufriev, Alexey and Bashford, Donald and Case, David A.},
  title = {Exploring Protein Native States and Large-Scale Conformational Changes with a Modified Generalized \
{Born} Model},
  journal = {Proteins}, volume = {55}, number = {2}, pages = {383--394}, year = {2004},
  note = {implicit solvent of finishing}
}
@article{leimkuhler2013baoab,
  author = {Leimkuhler, Benedict and Matthews, Charles},
  title = {Rational Construction of Stochastic Numerical Methods for Molecular Sampling},
  journal = {Applied Mathematics Research eXpress}, volume = {2013}, number = {1}, pages = {34--56}, year = {2013},
  note = {BAOAB propagation}
}
"""
