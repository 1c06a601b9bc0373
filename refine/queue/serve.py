"""``refine app``: the supervisor in a thread, and Streamlit, which serves the pages."""

from __future__ import annotations

import dataclasses
import importlib
import ipaddress
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refine.errors import InputError
from refine.queue import isolated
from refine.queue.settings import AppSettings, read_app_settings, to_environment
from refine.queue.store import Store
from refine.queue.supervisor import Supervisor
from refine.resources import app_dir
from refine.settings import read_settings

log = logging.getLogger(__name__)


def settings_with(config: Path | None, options: Mapping[str, Any]) -> AppSettings:
    """Settings of a file (None: the defaults) with options that win; paths become full paths.

    Raises:
        InputError: the file or a value cannot be used.
    """
    settings = read_app_settings(config) if config else AppSettings()
    changed: dict[str, Any] = {k: str(v) if isinstance(v, Path) else v for k, v in options.items()}
    settings = dataclasses.replace(settings, **changed)
    if settings.smtp_password_file:
        settings = dataclasses.replace(settings, smtp_password_file=str(Path(settings.smtp_password_file).resolve()))
        if not Path(settings.smtp_password_file).is_file():
            raise InputError("there is no smtp_password_file", file=settings.smtp_password_file)
    if settings.base:
        read_settings(Path(settings.base))
        settings = dataclasses.replace(settings, base=str(Path(settings.base).resolve()))
    return dataclasses.replace(settings, folder=str(settings.root))


def serve(settings: AppSettings) -> int:
    """Serve until stopped; jobs that run go on after that.

    Raises:
        InputError: Streamlit is not installed, or the job folder cannot be used.
    """
    try:
        streamlit = importlib.import_module("streamlit.web.cli")
    except ImportError as error:
        raise InputError(
            "the web app needs Streamlit", remedy="Install refine with the extra 'app': pip install 'refine[app]'"
        ) from error
    importlib.import_module("altair")  # slow, so not while the first visitor waits
    isolated.warm()
    os.umask(0o077)  # jobs and logs are for their users alone, who see them through the pages
    warn_open(settings)
    supervisor = Supervisor(Store(settings))
    to_environment(settings)
    stop = threading.Event()
    thread = threading.Thread(target=supervisor.watch, args=(stop,), name="supervisor", daemon=True)
    thread.start()
    try:
        streamlit.main(["run", str(app_dir() / "server.py"), *options(settings)], standalone_mode=False)
    finally:
        stop.set()
        thread.join(10)
    return 0


def warn_open(settings: AppSettings) -> None:
    """Warn when other machines can reach the app and nothing tells their users apart."""
    if not settings.user_header and not is_loopback(settings.host):
        log.warning(
            "the app listens on %s, which other machines may reach, and no user_header is set: whoever reaches it can "
            "submit jobs. Put it behind a proxy that knows its users; see app/README.md",
            settings.host or "all addresses",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def options(settings: AppSettings) -> list[str]:
    """Streamlit's own settings: nothing leaves the machine, errors show no source code, uploads are limited."""
    values = {
        "server.address": settings.host,
        "server.port": settings.port,
        "server.headless": True,
        "server.maxUploadSize": settings.max_upload_mb,
        "server.enableXsrfProtection": True,
        "server.enableCORS": True,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.toolbarMode": "minimal",
        "theme.light.primaryColor": "#1f5fbf",
        "theme.dark.primaryColor": "#7db3f2",
        "theme.dark.backgroundColor": "#171716",  # as in webapp/style.css
    }
    return [f"--{name}={str(value).lower()}" for name, value in values.items()]
