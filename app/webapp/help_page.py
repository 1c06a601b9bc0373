"""What the app does and how its results are read; and a finished result that comes with refine."""

from __future__ import annotations

import html
from pathlib import Path

import streamlit as st

from refine.report.bands import BANDS
from refine.report.glossary import GLOSSARY
from webapp import places, result
from webapp.server import settings
from webapp.text import counted, plain

SAMPLE = Path(__file__).resolve().parent.parent / "example"
"""Folder of the example; its run folder lies below it."""
WORDS = {
    "confidence": "Confidence",
    "predicted_error": "Predicted error",
    "score": "Score",
    "native": "Native",
    "judge": "Judge",
    "clashscore": "Clashscore",
    "ramachandran_favoured": "Ramachandran favoured",
    "rotamer_outliers": "Rotamer outliers",
    "lddt_ca": "CA lDDT",
    "gdt_ha": "GDT-HA",
    "tm_score": "TM-score",
}
"""Entries of the glossary that the pages use, in the order of the help page."""

_FIRST = """
1. **Give a model**: a PDB or mmCIF file, pasted text, or the example. It is read at once, shown in 3-D, and what is
   missing or wrong in it is marked.
2. **Choose**, or leave everything as it is. Residues that must not move are clicked in the picture, or typed as
   `A:10-25, B 374`; chains are switched off; what surrounds a ligand or metal is kept at one click.
3. **Refine.** The page shows the place in the queue, then how far the run is, how accurate the input is expected to be
   and how far it has moved. It can be closed: the job goes on, and stands under *Jobs*.
4. **Read the verdict**, click residues, and take the models along.
"""
_VERDICT = """
The verdict stands first. It estimates how much nearer to an experiment model 1 is expected to be than what you gave, in
points of CA lDDT (0–100), and was calibrated on models whose experimental structures are known.

- **Better**: a gain is likely, and how large it is expected to be is said with its uncertainty.
- **Uncertain**: the run cannot tell. Look at the structures, and keep your model where in doubt.
- **No better**: no model scores better than the input. Model 1 is then the input, its side chains and clashes mended.

Models of today's predictors hardly gain by a run: what improves for certain is their stereochemistry. The numbers
beside the verdict say how good the stereochemistry is, and do not say which model is nearer to the truth.
"""
_EVIDENCE = """
Distances or contacts that you know from an experiment help more than anything else. They are a table of rows,
separated by tabs, whose first line names the columns:

```
kind	first	second	value	sigma	upper
distance	A:12 CA	A:57 CB	8.5	1.0
distance	A:30 NZ	A:88 NZ			24
contact	A:15	A:102
```

A row is an atom pair with a distance in Å and its uncertainty, or with bounds. AlphaFold's expected errors (`.json`)
and distograms (`.npz`) are taken, too. The form shows every row with its weight before the run; the result shows which
rows hold in your model and in model 1. The known structure of a related protein, and models of the same protein by
other programs, give their distances as evidence, too. A torsion density (`.npz` of `refine simulate-residue HYP` in a
terminal) says which phi and psi a modified residue takes; the form says for how many residues of the model it stands.

Conditions are those of the protein as it is meant, not of a crystal: the pH sets its charges and hydrogens, the ionic
strength how far charges reach. Residues that move more are given temperatures of their own.
"""


def page() -> None:
    """The help page."""
    st.title("Help")
    st.write(
        "refine moves a protein model toward what an experiment would show, by what networks learned from known "
        "structures, and says whether it got better."
    )
    if st.button("See a finished result", type="primary", icon=":material/visibility:"):
        places.go(places.SAMPLE, "1a8o")
    st.header("In four steps")
    st.markdown(_FIRST)
    st.header("How to read a result")
    st.markdown(_VERDICT)
    _colours()
    st.header("The words")
    st.markdown("\n".join(f"- **{name}**: {plain(GLOSSARY[key])}" for key, name in WORDS.items()))
    st.header("What you know: evidence and conditions")
    st.markdown(_EVIDENCE)
    st.header("Your data")
    _data()


def _colours() -> None:
    """The bands of the confidence."""
    square = '<span style="display:inline-block;width:11px;height:11px;background:{}"></span>'
    swatch = f'<span style="white-space:nowrap">{square} {{}}</span>'
    bands = " &nbsp; ".join(swatch.format(band.colour, html.escape(band.name)) for band in BANDS)
    st.html(f"<p>Confidence is coloured as in the AlphaFold database: {bands}.</p>")


def _data() -> None:
    limits = settings()
    st.markdown(
        f"""
- Nothing leaves this server. Jobs are deleted {limits.keep_days:g} days after they ended, or when you delete them.
- The address of a job's page opens it for whoever has it, and only you can cancel or delete. To show a job to others,
  use *Share* on its page: that link shows it and nothing else, and you can take it back.
- Limits: {limits.max_upload_mb} MB a file, {limits.max_residues:,} residues, {counted(limits.user_jobs, "job")} at a
  time, {limits.max_seconds / 3600:g} h a job.
- Only the 20 standard amino acids are refined. Ligands, metals, nucleic acids and modified residues are carried along,
  and what is bonded to them stays where it is.
"""
    )


def sample() -> None:
    """The result of the example, as it comes with refine."""
    st.title("A finished result: 1a8o_model.pdb")
    st.info(
        "This run of the example comes with refine; nothing is computed for this page. The native is shown with it, "
        "which is unknown in earnest.",
        icon=":material/visibility:",
    )
    with st.container(horizontal=True):
        if st.button("Back to the help", icon=":material/arrow_back:"):
            places.go(places.HELP, "all")
        if st.button("Refine a model of your own", icon=":material/upload_file:"):
            places.go(places.NEW)
    result.show(SAMPLE / "run", "1a8o_model", None)
