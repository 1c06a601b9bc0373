"""Packs: what goes in comes out, bad files are counted, clusters and splits do not depend on order."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from refine.constants import AMINO_ACIDS
from refine.errors import InputError
from refine.training.pack import Pack
from refine.training.packing import PackSettings, StructureFile, build_pack, cluster, pack_chain
from tests.networks.small import small_pack, write_structures
from tests.proteins import small_protein
from tests.structure.files import base_pdb

ONE = PackSettings(workers=1)


def test_pack_holds_the_structures(tmp_path: Path) -> None:
    pack = Pack(small_pack(tmp_path))
    assert [c.name for c in pack.chains] == [f"p{k}" for k in range(8)]
    assert [c.split for c in pack.chains] == ["train", "train", "valid", "test"] * 2
    protein = small_protein(44, seed=3)
    x = protein.coords[0] - protein.coords[0, :, 1].mean(0)
    np.testing.assert_allclose(pack.backbone(3), x[:, :4], atol=0.0121)
    assert "".join(AMINO_ACIDS[k] for k in pack.residue(3)) == protein.sequence
    side_chain, present = pack.side_chain(3)
    assert np.array_equal(present, protein.mask[:, 4:]) and 0 < present.sum() < present.size
    np.testing.assert_allclose(side_chain[present], x[:, 4:][present], atol=0.0121)
    np.testing.assert_array_equal(
        side_chain[~present], np.broadcast_to(pack.backbone(3)[:, 1:2], side_chain.shape)[~present]
    )


def test_incomplete_residues_are_dropped_and_breaks_jump() -> None:
    protein = small_protein(40)
    mask = protein.mask.copy()
    mask[[0, 12], [3, 1]] = False
    chain = pack_chain(
        type(protein)(**{**vars(protein), "mask": mask}), "x", StructureFile("x", Path("x")), PackSettings()
    )
    assert chain.origin.tolist() == [i for i in range(40) if i not in (0, 12)]
    assert not chain.bonded[10] and not chain.bonded[-1] and chain.bonded.sum() == 36
    assert np.diff(chain.position).tolist() == [21 if i == 10 else 1 for i in range(37)]


@pytest.mark.parametrize(
    ("settings", "words"), [({"min_residues": 41}, "complete backbone"), ({"max_missing": 0.2}, "lack backbone")]
)
def test_filters(settings: dict[str, float], words: str) -> None:
    protein = small_protein(40)
    mask = protein.mask.copy()
    mask[:10, 2] = False
    with pytest.raises(InputError, match=words):
        pack_chain(
            type(protein)(**{**vars(protein), "mask": mask}),
            "x",
            StructureFile("x", Path("x")),
            PackSettings(**settings),
        )  # type: ignore[arg-type]


def test_bad_files_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "good.pdb").write_text(base_pdb())
    (tmp_path / "bad.pdb").write_text("<html>not found</html>")
    (tmp_path / "note.txt").write_text("not a structure")
    with caplog.at_level("WARNING"):
        out = build_pack(tmp_path, tmp_path / "out", ONE)
    manifest = json.loads((out / "manifest.json").read_text())
    assert [row["id"] for row in manifest["left_out"]] == ["bad"] and manifest["files"] == 2 and manifest["chains"] == 1
    assert "bad is left out" in caplog.text
    (tmp_path / "good.pdb").unlink()
    with pytest.raises(InputError, match="no chain"):
        build_pack(tmp_path, tmp_path / "out2", ONE)


def test_hash_covers_content_and_splits_but_not_workers(tmp_path: Path) -> None:
    table = write_structures(tmp_path, 4, 30)

    def digest(name: str, settings: PackSettings = ONE) -> str:
        return str(json.loads((build_pack(table, tmp_path / name, settings) / "manifest.json").read_text())["hash"])

    first = digest("a")
    assert digest("b", PackSettings(workers=2)) == first
    table.write_text(table.read_text().replace("\ttest\t", "\ttrain\t"))
    changed = digest("c")
    (tmp_path / "p0.pdb").write_text((tmp_path / "p1.pdb").read_text())
    assert len({first, changed, digest("d")}) == 3


def test_clusters_join_copies_not_strangers() -> None:
    rng = np.random.default_rng(0)
    one, two = ("".join(rng.choice(list(AMINO_ACIDS), 120)) for _ in range(2))
    near = "".join(a if k % 12 else "W" for k, a in enumerate(one))
    numbers = cluster([one, two, near, one[10:80]])
    assert numbers[0] == numbers[2] == numbers[3] != numbers[1]


def test_shared_chains_pack_as_measured(shared: Path, tmp_path: Path) -> None:
    """Four chains of the training data: the table's residue numbers are met."""
    index = shared / "data" / "index.tsv"
    if not index.is_file():
        pytest.skip("no training data")
    with index.open() as file:
        rows = [row for _, row in zip(range(4), csv.DictReader(file, delimiter="\t"), strict=False)]
    table = tmp_path / "some.tsv"
    lines = ["\t".join(("id", "file", "cluster30", "split", "quality"))]
    lines += [
        "\t".join(
            (r["id"], str(index.parent / "chains" / f"{r['id']}.bcif.gz"), r["cluster30"], r["split"], r["quality"])
        )
        for r in rows
    ]
    table.write_text("\n".join(lines) + "\n")
    pack = Pack(build_pack(table, tmp_path / "pack", ONE))
    for k, row in enumerate(rows):
        sequence = row["sequence"]
        assert all(sequence[i] == AMINO_ACIDS[a] for i, a in zip(pack.origin(k), pack.residue(k), strict=True))
        assert pack.chains[k].length <= int(row["residues"]) and pack.chains[k].split == row["split"]


def test_pack_of_an_earlier_version_is_refused_by_name(tmp_path: Path) -> None:
    folder = small_pack(tmp_path)
    (folder / "side_chain.npy").unlink()
    with pytest.raises(InputError, match="array of the pack is missing") as caught:
        Pack(folder)
    assert "side_chain.npy" in str(caught.value.file) and "pack the structures again" in str(caught.value.remedy)
