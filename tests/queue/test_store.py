"""The queue: states, order, limits, and that jobs of others stay theirs."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from refine.errors import InputError
from refine.queue.folder import plain_files, read_plain
from refine.queue.job import CANCELLED, DONE, FAILED, QUEUED, RUNNING, new_id
from refine.queue.settings import AppSettings, from_dict
from refine.queue.store import MAX_ATTEMPTS, Store
from refine.queue.supervisor import Supervisor, delete
from tests.queue.places import submitted


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(AppSettings(folder=str(tmp_path / "jobs"), at_once=2, user_jobs=3, all_jobs=5))


def test_a_job_goes_from_queued_to_done(store: Store) -> None:
    job = submitted(store)
    assert store.find(job.id) == job.__class__(**{**job.__dict__, "bytes": 4})
    assert (store.folder(job.id) / "model.pdb").read_bytes() == b"ATOM"
    started = store.start_next()
    assert started is not None and started.id == job.id and started.state == RUNNING and started.attempts == 1
    assert store.take(job.id, 12, "then") and not store.take(job.id, 13, "later")
    store.end(job.id, DONE, "better", 99)
    ended = store.find(job.id)
    assert ended is not None and (ended.state, ended.message, ended.bytes, ended.pid) == (DONE, "better", 99, None)


def test_no_more_than_allowed_run_and_users_take_turns(store: Store) -> None:
    first, second = submitted(store, "anna"), submitted(store, "anna")
    other = submitted(store, "bert")
    assert [j.id for j in (store.start_next(), store.start_next()) if j] == [first.id, other.id]
    assert store.start_next() is None
    waiting = store.find(second.id)
    assert waiting is not None and waiting.state == QUEUED and store.turn(waiting).ahead == 0  # type: ignore[union-attr]


def test_limits_of_jobs_and_of_disk_space(store: Store) -> None:
    for _ in range(3):
        submitted(store, "anna")
    with pytest.raises(InputError, match="you have 3 jobs"):
        submitted(store, "anna")
    submitted(store, "bert")
    submitted(store, "carl")
    with pytest.raises(InputError, match="queue is full"):
        submitted(store, "dora")
    assert len(store.jobs()) == 5 == len(list((store.root / "jobs").iterdir()))


def test_disk_space_of_a_user_and_of_all(tmp_path: Path) -> None:
    store = Store(AppSettings(folder=str(tmp_path), user_mb=1, all_mb=2, user_jobs=50))
    submitted(store, "anna", bytes(900_000))
    with pytest.raises(InputError, match="fill the 1 MB you may use"):
        submitted(store, "anna", bytes(200_000))
    submitted(store, "bert", bytes(900_000))
    with pytest.raises(InputError, match="all users fill the 2 MB"):
        submitted(store, "carl", bytes(300_000))


def test_twenty_at_once_lose_nothing(tmp_path: Path) -> None:
    store = Store(AppSettings(folder=str(tmp_path)))
    ids: list[str] = []
    threads = [threading.Thread(target=lambda k=k: ids.append(submitted(store, f"user {k}").id)) for k in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 20 and {job.id for job in store.jobs()} == set(ids)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "../../etc",
        "a/b",
        "%2e%2e",
        "'; DROP TABLE jobs; --",
        "A" * 20,
        "0" * 19,
        "0" * 21,
        "0" * 20 + "\n",
        "\0",
    ],
)
def test_what_is_no_job_id_is_refused(store: Store, text: str) -> None:
    submitted(store)
    assert store.find(text) is None
    with pytest.raises(InputError, match="no such job"):
        store.folder(text)


def test_a_foreign_folder_and_a_link_are_refused(store: Store, tmp_path: Path) -> None:
    foreign = store.root / "jobs" / new_id()
    foreign.mkdir()
    with pytest.raises(InputError, match="no such job"):
        store.folder(foreign.name)
    job = submitted(store)
    folder = store.folder(job.id)
    (folder / "model.pdb").unlink()
    folder.rmdir()
    secret = tmp_path / "secret"
    secret.mkdir()
    folder.symlink_to(secret)
    with pytest.raises(InputError, match="is gone"):
        store.folder(job.id)


def test_links_in_a_folder_are_not_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    run = tmp_path / "run"
    run.mkdir()
    (run / "model_1.pdb").write_text("ATOM")
    (run / "evil.pdb").symlink_to(tmp_path / "secret")
    (run / ".partial-x").write_text("")
    assert [p.name for p in plain_files(run)] == ["model_1.pdb"]
    assert read_plain(run, "model_1.pdb") == b"ATOM"
    for name in ("evil.pdb", "../secret", "/etc/passwd", ".partial-x", ""):
        with pytest.raises(InputError, match="no such file"):
            read_plain(run, name)


def test_only_the_owner_cancels_and_deletes(store: Store) -> None:
    job = submitted(store, "anna")
    with pytest.raises(InputError, match="not one of your jobs"):
        store.cancel(job.id, "bert")
    with pytest.raises(InputError, match="has not ended"):
        store.deletable(job.id, "anna")
    store.cancel(job.id, "anna")
    cancelled = store.find(job.id)
    assert cancelled is not None and cancelled.state == CANCELLED
    with pytest.raises(InputError, match="not one of your jobs"):
        store.deletable(job.id, "bert")
    delete(store, store.deletable(job.id, "anna"))
    assert store.find(job.id) is None and not (store.root / "jobs" / job.id).exists()


def test_a_lost_job_waits_again_until_it_is_too_often(store: Store) -> None:
    job = submitted(store)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        started = store.start_next()
        assert started is not None and started.attempts == attempt
        store.lost(started, 5)
    lost = store.find(job.id)
    assert lost is not None and lost.state == FAILED and "without a result" in lost.message


def test_old_jobs_and_strays_are_deleted(store: Store, tmp_path: Path) -> None:
    old, new = submitted(store, "anna"), submitted(store, "bert")
    for _ in range(2):
        assert store.start_next()
    for job in (old, new):
        store.end(job.id, DONE, "", 1)
    with store._change() as database:
        database.execute("UPDATE jobs SET ended = ? WHERE id = ?", (time.time() - 15 * 86400, old.id))
    stray, note = store.root / "jobs" / new_id(), store.root / "jobs" / "notes"
    for path in (stray, note):
        path.mkdir()
        os.utime(path, (time.time() - 7200,) * 2)
    Supervisor(store).clean()
    assert store.find(old.id) is None and store.find(new.id) is not None
    assert {p.name for p in (store.root / "jobs").iterdir()} == {new.id, "notes"}


def test_the_folder_is_the_owners_alone(store: Store) -> None:
    job = submitted(store)
    assert (store.root / "jobs").stat().st_mode & 0o077 == 0 and store.folder(job.id).stat().st_mode & 0o077 == 0


def test_settings_refuse_nonsense() -> None:
    assert AppSettings().host == "127.0.0.1"
    with pytest.raises(InputError, match="unknown setting"):
        from_dict({"hots": "0.0.0.0"})
    with pytest.raises(InputError, match="at_once"):
        AppSettings(at_once=0)


def test_other_accounts_of_the_machine_read_nothing(tmp_path: Path) -> None:
    root = tmp_path / "jobs"
    (root / "jobs").mkdir(parents=True)
    (root / "jobs.sqlite").touch()
    for path in (root, root / "jobs", root / "jobs.sqlite"):
        path.chmod(0o777 if path.is_dir() else 0o666)  # as an older version, or somebody, left it
    store = Store(AppSettings(folder=str(root)))
    submitted(store)
    for path in (root, *root.rglob("*")):
        if path.is_dir() or path.parent == root:
            assert path.stat().st_mode & 0o077 == 0, path


def test_a_link_in_place_of_the_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "elsewhere").touch()
    (tmp_path / "jobs" / "jobs.sqlite").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="job folder cannot be used"):
        Store(AppSettings(folder=str(tmp_path / "jobs")))
    assert (tmp_path / "elsewhere").stat().st_size == 0
