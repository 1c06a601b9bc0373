"""What the words of the pages mean, a sentence or two each, for people who meet them the first time."""

from __future__ import annotations

GLOSSARY = {
    "gdt_ha": "Global distance test, high accuracy: share of CA atoms within 0.5, 1, 2 and 4 Å of the native, "
    "averaged, each after its best superposition; 100 is the native.",
    "gdt_ts": "As GDT-HA, with 1, 2, 4 and 8 Å.",
    "tm_score": "Template modelling score: likeness of two folds, 1 is the same, below 0.2 is chance.",
    "lddt_ca": "Local distance difference test over CA atoms: share of distances up to 15 Å that are as in the native, "
    "within 0.5, 1, 2 and 4 Å, in points; needs no superposition; 100 is the native.",
    "lddt": "Local distance difference test over all heavy atoms, in points; 100 is the native.",
    "rmsd": "Root mean square distance of CA atoms from the native after superposition.",
    "native": "The experimental structure that a model is measured against.",
    "input": "The structure as it was given.",
    "input_finished": "The input with its side chains completed and its clashes removed: no merit of the moves.",
    "score": "The run's own free energy of a structure: learned terms and physical ones. Lower is better, for "
    "structures of the same protein alone; a gain in it comes with every run and is no proof of a gain in accuracy.",
    "learned_by_energy": "The learned terms times the factor that gives their differences the size of OpenMM's energy. "
    "Where this and the next row differ much, their unit is not defined: neither is a free energy.",
    "learned_by_fluctuation": "The learned terms times the factor that gives residues the fluctuations that crystals "
    "show. Where this and the row above differ much, the unit of the learned terms is not defined.",
    "judge": "Mean CA lDDT in points that a network expects which was trained to tell better models of a protein from "
    "worse ones; not calibrated, so it is for comparing structures of one protein.",
    "confidence": "Expected CA lDDT of each residue, 0–100; calibrated on models with known natives.",
    "predicted_error": "Expected distance of a CA atom from where the native has it.",
    "clashscore": "Overlaps of atoms by 0.4 Å or more for every 1,000 atoms, hydrogens included; good structures have "
    "less than 5.",
    "ramachandran_favoured": "Share of residues whose backbone torsions phi and psi are common in good structures; "
    "98 % is usual.",
    "ramachandran_outliers": "Share of residues whose backbone torsions are rare in good structures.",
    "rotamer_outliers": "Share of side chains whose torsions are rare in good structures.",
    "bond_rmsz": "Spread of bond lengths about their ideals, in standard deviations; about 1 or less is good.",
    "angle_rmsz": "Spread of bond angles about their ideals, in standard deviations; about 1 or less is good.",
}
"""Column of scores.csv, or another word of the pages → what it means."""
