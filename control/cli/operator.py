"""Who runs a command, and where it is written down what they did with it."""

import getpass
import logging
import os
import socket
import sys
from pathlib import Path

JOURNAL = "operators.log"


def operator(home: Path) -> str:
    """The person's name for the journal; from now on it is written into operators.log of the home folder."""
    log = logging.getLogger("callboard.operators")
    log.setLevel(logging.INFO)
    log.handlers = [_Journal(home / JOURNAL)]
    return f"{_user()}@{socket.gethostname()}"


class _Journal(logging.Handler):
    """Appends lines to a file that only its owner reads, and says them where it cannot be written."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(handle, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            sys.stderr.write(f"callboard: {self._path} cannot be written ({reason}): {line}\n")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container whose user has no name
        return f"uid-{os.getuid()}"
