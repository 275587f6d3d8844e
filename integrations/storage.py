"""Files on the local disk, written so that a reader sees the whole file or the old one."""

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from integrations.errors import PermanentFailure, TransientFailure

# What a free moment may mend; every other refusal (no permission, read-only, not a folder) stays.
_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EINTR, errno.EAGAIN}


def write_atomically(path: Path | str, data: bytes) -> Path:
    """Write `data` to `path` through a temporary file in the same folder, fsync and rename; return the path.

    Missing folders are made. The file is readable by its owner only (0600): it may hold a tenant's data.
    Raises PermanentFailure if the folder cannot be written, TransientFailure if the disk is full.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, data)
    except OSError as error:
        raise _explained(error, target) from error
    return target


def _replace(target: Path, data: bytes) -> None:
    # A short prefix: the target's own name may already be as long as the file system allows.
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    # The rename itself is durable only once the folder is.
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _explained(error: OSError, target: Path) -> PermanentFailure | TransientFailure:
    reason = error.strerror or type(error).__name__
    if error.errno in _PASSING:
        return TransientFailure(f"Cannot write {target} now: {reason}; free space on that disk.")
    return PermanentFailure(
        f"Cannot write {target}: {reason}; make the folder writable for the user that runs the worker, "
        "or choose another output folder."
    )
