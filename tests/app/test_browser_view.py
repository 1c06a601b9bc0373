"""The 3-D view in a real browser: chains, ligands, metals; a residue that is chosen anywhere; and what a form takes."""

from __future__ import annotations

import re

import numpy as np

from refine.queue.job import DONE
from refine.queue.request import RUN
from tests.app.browser import Server, Visitor, expect, painted, put, strong, sync_api
from tests.queue.places import short_model
from tests.run.run_folder import make_run, two_chains
from tests.structure import files
from tests.structure.test_connections import HIS, outward, with_lines, zinc


def with_iron_and_ligand() -> bytes:
    """A model whose histidine binds iron, with a ligand of four atoms beside it."""
    place = np.array(outward(HIS, "NE2", 12.0))
    ligand = [
        files.atom_line(902 + k, f"C{k + 1}", "LIG", "A", "401", tuple(place + [1.5 * k, 0, 0]), het=True, element="C")
        for k in range(4)
    ]
    return with_lines(zinc(400).replace("ZN", "FE"), *ligand).encode()


def two_copies() -> bytes:
    """The short model as two chains side by side."""
    atoms = [line for line in short_model().decode().splitlines() if line.startswith("ATOM")]
    other = [f"{x[:21]}B{x[22:30]}{float(x[30:38]) + 30:8.3f}{x[38:]}" for x in atoms]
    return "\n".join([*atoms, *other, "END", ""]).encode()


def options(select: sync_api.Locator) -> list[str]:
    """What a menu offers."""
    return [text.strip() for text in select.locator("option").all_inner_texts()]


def test_metals_are_spheres_with_bonds_and_ligands_sticks(visitor: Visitor) -> None:
    page = visitor.page
    visitor.goto()
    visitor.upload("iron.pdb", with_iron_and_ligand())
    stage = page.locator(".refine-viewer .stage")
    expect(stage).to_have_attribute("aria-label", re.compile("1 metal with 1 bond, 4 ligand atoms"))
    page.get_by_label("Marks").uncheck()
    visitor.drawn_so(lambda picture: strong(picture, 0) > 30)  # iron is orange, and nothing else is
    assert visitor.complaints == []


def test_chains_have_colours_of_their_own(visitor: Visitor, server: Server) -> None:
    page = visitor.page
    visitor.goto()
    visitor.upload("two.pdb", two_copies())
    expect(page.locator(".refine-viewer .view-legend")).to_contain_text("chain B")
    page.get_by_label("Marks").uncheck()
    visitor.drawn_so(lambda picture: strong(picture, 0) > 100)  # the second chain
    page.get_by_label("Colour by").select_option("Structure")
    visitor.drawn_so(lambda picture: painted(picture) > 0.01 and strong(picture, 0) < 20)

    job = put(server.store, DONE)
    make_run(server.store.folder(job.id) / RUN, two_chains())
    visitor.goto(f"?job={job.id}")
    menu = page.get_by_label("Colour by")
    menu.wait_for()
    expect(menu.locator("option", has_text="Chain")).to_have_count(1)
    assert {"Structure", "Confidence", "Displacement", "prior", "Chain"} <= set(options(menu))
    menu.select_option("Structure")
    visitor.drawn_so(lambda picture: strong(picture, 0) < 20)
    menu.select_option("Chain")
    visitor.drawn_so(lambda picture: strong(picture, 0) > 100)
    expect(page.locator(".refine-viewer .view-legend")).to_contain_text("chain A")
    assert visitor.complaints == []


def test_a_click_anywhere_in_a_result_marks_the_residue_and_shows_what_is_around_it(visitor: Visitor) -> None:
    page = visitor.page
    visitor.goto("?sample=1a8o")
    page.get_by_label("Colour by").select_option("Structure")
    visitor.drawn_so(lambda picture: painted(picture) > 0.01 and strong(picture, 0) == 0)
    note = page.locator(".refine-viewer .view-note")
    page.locator("#tracks svg").click(position={"x": 12 * 9 + 6, "y": 80})
    expect(note).to_contain_text(" 160 ")
    visitor.drawn_so(lambda picture: strong(picture, 0) > 20)  # oxygens of the side chains around it
    visitor.settled()
    page.locator(".refine-viewer .stage").press(".")
    expect(page.locator("#track-readout")).to_contain_text(" 161:")
    page.get_by_role("tab", name="Ramachandran").click()
    dot = page.locator("#rama-after circle").nth(30)
    where = (dot.locator("title").text_content() or "").partition(":")[0]
    dot.click(force=True)  # others may lie over it
    expect(note).to_contain_text(re.compile(r"model 1: A \w{3} \d+ "))
    chosen = re.search(r"model 1: (A \w{3} \d+) ", note.inner_text())
    assert chosen is not None and where.startswith("A ")
    expect(page.locator("#track-readout")).to_contain_text(f"{chosen[1]}:")
    assert visitor.complaints == []


def test_buttons_of_numbers_one_click_for_a_paste_and_what_is_removed_is_gone(visitor: Visitor) -> None:
    page = visitor.page
    visitor.goto()
    visitor.upload("short.pdb", short_model())
    page.get_by_text("Chain A: 151 to 170").wait_for()
    page.get_by_test_id("stNumberInputStepUp").first.click()
    page.get_by_text("--models=2").wait_for()
    page.get_by_test_id("stNumberInputStepUp").first.click()
    page.get_by_text("--models=3").wait_for()
    page.get_by_test_id("stNumberInputStepDown").first.click()
    page.get_by_text("--models=2").wait_for()
    page.get_by_role("button", name="Remove short.pdb").click()
    expect(page.get_by_text("What was read")).to_have_count(0)
    expect(page.get_by_role("button", name="Refine", exact=True)).to_have_count(0)
    expect(page.locator(".refine-viewer")).to_have_count(0)
    page.get_by_text("Paste text").click()
    page.get_by_label("The text of a PDB").fill(short_model().decode())
    page.get_by_role("button", name="Read the text").click()
    page.get_by_text("Chain A: 151 to 170, 20 residues").wait_for()
    page.get_by_text("Paste text").wait_for()
    assert visitor.complaints == []
