"""Links that show a job: secret, taken back by who made them, gone with the job."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from refine.errors import InputError
from refine.queue.store import DATABASE, Store
from refine.queue.supervisor import delete
from tests.queue.places import quick_settings, submitted


def test_a_link_shows_its_job_until_it_is_taken_back(tmp_path: Path) -> None:
    store = Store(quick_settings(tmp_path))
    job, other = submitted(store), submitted(store)
    token = store.share(job.id, job.user)
    assert len(token) >= 16 and job.id not in token
    assert store.share(job.id, job.user) == token == store.token_of(job.id)
    found = store.shared(token)
    assert found is not None and found.id == job.id
    assert store.token_of(other.id) == "" and store.share(other.id, other.user) != token
    store.unshare(job.id, job.user)
    assert store.shared(token) is None and store.token_of(job.id) == ""
    assert store.share(job.id, job.user) != token


def test_only_the_owner_shares(tmp_path: Path) -> None:
    store = Store(quick_settings(tmp_path))
    job = submitted(store)
    for act in (store.share, store.unshare):
        with pytest.raises(InputError, match="not one of your jobs"):
            act(job.id, "bert")


@pytest.mark.parametrize("text", ["", "%", "' OR 1=1 --", "\0", "x" * 10_000])
def test_any_text_may_be_asked_for(tmp_path: Path, text: str) -> None:
    store = Store(quick_settings(tmp_path))
    store.share(submitted(store).id, "anna")
    assert store.shared(text) is None


def test_a_deleted_job_takes_its_link_along(tmp_path: Path) -> None:
    store = Store(quick_settings(tmp_path))
    job = submitted(store)
    token = store.share(job.id, job.user)
    store.cancel(job.id, job.user)
    delete(store, store.deletable(job.id, job.user))
    assert store.shared(token) is None
    with store._read() as database:
        assert database.execute("SELECT COUNT(*) FROM shares").fetchone()[0] == 0


def test_a_queue_of_an_earlier_version_is_taken_over(tmp_path: Path) -> None:
    settings = quick_settings(tmp_path)
    job = Store(settings).find(submitted(Store(settings)).id)
    with sqlite3.connect(settings.root / DATABASE) as database:
        database.execute("ALTER TABLE jobs DROP COLUMN mail")
        database.execute("DROP TABLE shares")
    assert job is not None and job.mail == "" and Store(settings).find(job.id) == job
