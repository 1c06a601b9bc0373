"""What the web app allows, and where it keeps its jobs."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refine.errors import InputError
from refine.settings_checks import above, one_of, within
from refine.settings_file import build_settings, read_toml

ENVIRONMENT = "REFINE_APP"
"""Environment variable by which ``refine app`` hands its settings to the pages."""
POSITIVE = (
    "at_once", "max_upload_mb", "max_unpacked_mb", "max_residues", "max_seconds", "user_jobs", "all_jobs", "user_mb",
    "all_mb", "keep_days", "read_seconds", "read_mb",
)  # fmt: skip
"""Settings that must be above 0."""
SECURITY = ("starttls", "tls", "none")


@dataclasses.dataclass(frozen=True)
class AppSettings:
    """How the app works; the defaults suit a workstation.

    Attributes:
        folder: the job folders and ``jobs.sqlite``.
        host: address that is listened on; port: its port.
        at_once: jobs that run at the same time; the others wait.
        base: TOML file with the run settings every job starts from (``refine run --settings``); empty for the defaults.
        user_header: request header in which a reverse proxy puts the name of who is logged in; empty: browsers are told
            apart by a cookie, which keeps honest people apart and stops nobody who deletes it.
        max_upload_mb: size of an upload; max_unpacked_mb: its size unpacked.
        max_residues: of a protein.
        read_seconds: processor time to read an upload and show it; read_mb: memory for that.
        max_seconds: time of one job, after which it is stopped.
        user_jobs: jobs of one user that wait or run; all_jobs: of all users.
        user_mb: disk space of one user's jobs; all_mb: of all users' jobs. No job starts above them.
        keep_days: jobs are deleted so long after they ended.
        smtp_host: mail server by which users who want that are told that a job has ended; empty: no e-mail.
        smtp_port: its port; smtp_security: ``starttls``, ``tls`` (from the first byte) or ``none``.
        smtp_user: who logs in there, empty for no login; smtp_password_file: file that holds nothing but the password.
        mail_from: sender of the e-mails; mail_domains: e-mail goes to addresses of these domains alone, if any.
        address: under which users reach the app, as ``https://refine.lab.org``; links in e-mails begin with it.
    """

    folder: str = "refine_jobs"
    host: str = "127.0.0.1"
    port: int = 8501
    at_once: int = 1
    base: str = ""
    user_header: str = ""
    max_upload_mb: int = 20
    max_unpacked_mb: int = 40
    max_residues: int = 1500
    read_seconds: float = 60.0
    read_mb: int = 2000
    max_seconds: float = 6 * 3600.0
    user_jobs: int = 5
    all_jobs: int = 100
    user_mb: int = 2000
    all_mb: int = 20_000
    keep_days: float = 14.0
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_security: str = "starttls"
    smtp_user: str = ""
    smtp_password_file: str = ""
    mail_from: str = ""
    mail_domains: tuple[str, ...] = ()
    address: str = ""

    def __post_init__(self) -> None:
        one_of("smtp_security", self.smtp_security, SECURITY)
        if self.smtp_host and not (self.mail_from and self.address):
            raise InputError(
                "e-mail needs more than smtp_host", remedy="Set mail_from and address, too; see app/README.md"
            )
        if self.smtp_user and (not self.smtp_password_file or self.smtp_security == "none"):
            raise InputError(
                "smtp_user needs a password and a connection that nobody can listen to",
                remedy="Set smtp_password_file, and smtp_security to starttls or tls",
            )
        for name in POSITIVE:
            above(name, getattr(self, name), 0)
        for name in ("port", "smtp_port"):
            within(name, getattr(self, name), 0, 65535)

    @property
    def root(self) -> Path:
        """The folder, as a full path."""
        return Path(self.folder).expanduser().resolve()


def read_app_settings(path: Path) -> AppSettings:
    """Settings of a TOML file; raises InputError as ``settings_file.read_toml`` does."""
    return read_toml(path, from_dict)


def from_dict(values: Mapping[str, Any]) -> AppSettings:
    """Settings of plain values; raises InputError on an unknown key or a wrong type."""
    return build_settings(AppSettings, values)


def to_environment(settings: AppSettings) -> None:
    """Put ``settings`` where ``from_environment`` of this process and of its children finds them."""
    os.environ[ENVIRONMENT] = json.dumps(dataclasses.asdict(settings))


def from_environment() -> AppSettings:
    """The settings ``refine app`` was started with; the defaults when it was not."""
    text = os.environ.get(ENVIRONMENT)
    return from_dict(json.loads(text)) if text else AppSettings()
