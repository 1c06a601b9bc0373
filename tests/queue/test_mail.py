"""E-mail at the end of a job, against a mail server of this test: off by default, sent once, given up in the end."""

from __future__ import annotations

import dataclasses
import socketserver
import threading
from collections.abc import Iterator
from email import message_from_string
from email.message import Message
from email.policy import default
from pathlib import Path

import pytest

from refine.errors import InputError
from refine.queue import mail
from refine.queue.job import CANCELLED, Job
from refine.queue.settings import AppSettings
from refine.queue.store import Store
from refine.queue.supervisor import Supervisor
from tests.queue.places import quick_settings, submitted, wait_for


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks as much SMTP as one e-mail needs, without encryption."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.received: list[str] = []
        self.refuses = False


class Talk(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.say("220 here")
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == "DATA":
                self.say("354 go on")
                self.server.received.append(self.text())
                self.say("250 taken")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("550 nobody of that name" if word == "RCPT" and self.server.refuses else "250 well")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def text(self) -> str:
        lines = []
        while (line := self.rfile.readline().decode().rstrip("\r\n")) != ".":
            lines.append(line)
        return "\n".join(lines)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def with_mail(folder: Path, server: MailServer, **changes: object) -> AppSettings:
    given: dict[str, object] = {
        "smtp_host": "127.0.0.1", "smtp_port": server.server_address[1], "smtp_security": "none",
        "mail_from": "refine@lab.org", "address": "https://refine.lab.org/",
    }  # fmt: skip
    return quick_settings(folder, **given | changes)


def ended_job(store: Store, address: str, name: str = "model.pdb") -> Job:
    """A job that was cancelled by its user, who wants to be told."""
    job = dataclasses.replace(submitted(store), name=name)
    with store._change() as database:
        database.execute("UPDATE jobs SET mail = ?, name = ? WHERE id = ?", (address, name, job.id))
    store.cancel(job.id, job.user)
    return job


def only(server: MailServer) -> Message:
    (text,) = server.received
    return message_from_string(text, policy=default)


def test_who_asked_is_told_once(tmp_path: Path, server: MailServer) -> None:
    store = Store(with_mail(tmp_path, server))
    job = ended_job(store, "anna@lab.org", name="Protein ä: first, second")
    quiet = submitted(store)
    store.cancel(quiet.id, quiet.user)
    supervisor = Supervisor(store)
    wait_for(lambda: not store.to_be_told(), 30, supervisor.tick)
    supervisor.tick()
    told = only(server)
    assert told["To"] == "anna@lab.org" and told["From"] == "refine@lab.org"
    assert told["Subject"] == "refine: Protein ä: first, second has ended: cancelled"
    assert f"https://refine.lab.org/?job={job.id}" in told.get_payload()
    found = store.find(job.id)
    assert found is not None and found.mail == "" and found.state == CANCELLED


def test_nothing_is_sent_without_a_mail_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert AppSettings().smtp_host == ""
    monkeypatch.setattr(mail, "deliver", lambda *_: pytest.fail("sent"))
    store = Store(quick_settings(tmp_path))
    ended_job(store, "anna@lab.org")
    mail.Postman(store).tick()
    assert len(store.to_be_told()) == 1


def test_a_refused_address_is_given_up_after_three_attempts(
    tmp_path: Path, server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "PAUSE", 0.0)
    server.refuses = True
    store = Store(with_mail(tmp_path, server))
    ended_job(store, "nobody@lab.org")
    postman = mail.Postman(store)
    for _ in range(mail.ATTEMPTS - 1):
        postman.round(store.to_be_told())
        assert len(store.to_be_told()) == 1
    postman.round(store.to_be_told())
    assert store.to_be_told() == [] and server.received == []


@pytest.mark.parametrize("text", ["anna", "a@b", "a b@c.org", "a@c.org, b@c.org", "a@c.org\nBcc: b@c.org", "<a@c.org>"])
def test_what_is_no_single_address_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no e-mail address"):
        mail.checked_address(text, AppSettings())


def test_addresses_may_be_held_to_domains() -> None:
    settings = AppSettings(mail_domains=("lab.org",))
    assert mail.checked_address(" anna@LAB.org ", settings) == "anna@LAB.org"
    assert mail.checked_address(" ", settings) == ""
    with pytest.raises(InputError, match="sends no e-mail"):
        mail.checked_address("anna@lab.org.evil.net", settings)


@pytest.mark.parametrize(
    "values",
    [
        {"smtp_host": "mail"},
        {"smtp_host": "mail", "mail_from": "a@b.org"},
        {"smtp_user": "refine"},
        {"smtp_user": "refine", "smtp_password_file": "f", "smtp_security": "none"},
        {"smtp_security": "ssl"},
    ],
)
def test_settings_that_would_fail_later_are_refused_at_once(values: dict[str, str]) -> None:
    with pytest.raises(InputError):
        AppSettings(**values)  # type: ignore[arg-type]
