"""One `callboard up` for each home folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobs.errors import CallboardError


class AlreadyUp(CallboardError):
    """Another supervisor holds this home."""


class HomeUnusable(CallboardError):
    """Nothing can be kept in this home."""


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the home's lock; raises AlreadyUp when another process does, and HomeUnusable.

    The kernel lets go of the lock when its holder dies, so a crash leaves nothing to tidy.
    """
    path = home / "up.lock"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch()
    except OSError as error:
        raise HomeUnusable(
            f"the home folder {home} cannot be written ({error.strerror}); set CALLBOARD_HOME to one that can"
        ) from error
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise AlreadyUp(
                f"another 'callboard up' (process {holder}) runs in {home}: join it with "
                "'.venv/bin/dramatiq actors', or stop it first"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
