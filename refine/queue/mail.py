"""E-mail to users who asked for it when their job has ended; off unless the settings name a mail server."""

from __future__ import annotations

import logging
import re
import smtplib
import ssl
import threading
import time
from email.message import EmailMessage
from pathlib import Path

from refine.errors import InputError
from refine.queue.job import DONE, Job
from refine.queue.settings import AppSettings
from refine.queue.store import Store

log = logging.getLogger(__name__)

ATTEMPTS = 3
PAUSE = 60.0
"""Seconds between two attempts to send one e-mail."""
_SECONDS = 20.0
"""Patience with the mail server."""
_ADDRESS = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@(?P<domain>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)")


def checked_address(text: str, settings: AppSettings) -> str:
    """An e-mail address as a user typed it, or an empty text for none.

    Raises:
        InputError: it is none, or the settings let no e-mail go to its domain.
    """
    address = text.strip()
    if not address:
        return ""
    match = _ADDRESS.fullmatch(address)
    if match is None or len(address) > 254:
        raise InputError("this is no e-mail address", remedy="Write one, as name@example.org, or leave it empty")
    domains = [domain.lower() for domain in settings.mail_domains]
    if domains and match["domain"].lower() not in domains:
        raise InputError(
            "this server sends no e-mail to that address", remedy=f"Use one that ends with @{' or @'.join(domains)}"
        )
    return address


def message(job: Job, settings: AppSettings) -> EmailMessage:
    """What the user of a job is told at its end."""
    told = EmailMessage()
    told["Subject"] = f"refine: {job.name} {'is done' if job.state == DONE else 'has ended: ' + job.state.lower()}"
    told["From"], told["To"] = settings.mail_from, job.mail
    told["Auto-Submitted"] = "auto-generated"
    told.set_content(f"{job.message}\n\n{settings.address.rstrip('/')}/?job={job.id}\n")
    return told


def deliver(told: EmailMessage, settings: AppSettings) -> None:
    """Hand one e-mail to the mail server; raises OSError (SMTPException is one) when that fails."""
    context = ssl.create_default_context()
    where = (settings.smtp_host, settings.smtp_port)
    if settings.smtp_security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(*where, timeout=_SECONDS, context=context)
    else:
        server = smtplib.SMTP(*where, timeout=_SECONDS)
    with server:
        if settings.smtp_security == "starttls":
            server.starttls(context=context)
        if settings.smtp_user:
            server.login(settings.smtp_user, Path(settings.smtp_password_file).read_text(encoding="utf-8").strip())
        server.send_message(told)


class Postman:
    """Tells users that their jobs have ended, in a thread of its own: a mail server that is slow delays no job."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._failures: dict[str, int] = {}
        self._not_before = 0.0
        self._thread: threading.Thread | None = None

    def tick(self) -> None:
        """Begin a round in the background, where there is anybody to be told and none goes on."""
        busy = self._thread is not None and self._thread.is_alive()
        if not self.store.settings.smtp_host or busy or time.monotonic() < self._not_before:
            return
        due = self.store.to_be_told()
        if due:
            self._thread = threading.Thread(target=self.round, args=(due,), name="postman", daemon=True)
            self._thread.start()

    def round(self, due: list[Job]) -> None:
        """Try to tell the users of these jobs; who cannot be told in ``ATTEMPTS`` attempts is given up."""
        for job in due:
            try:
                deliver(message(job, self.store.settings), self.store.settings)
            except OSError as error:
                failures = self._failures[job.id] = self._failures.get(job.id, 0) + 1
                self._not_before = time.monotonic() + PAUSE
                log.warning("no e-mail about job %s (attempt %d of %d): %s", job.id, failures, ATTEMPTS, error)
                if failures < ATTEMPTS:
                    continue
            self.store.told(job.id)
