"""The fleet's keys in a file that only its owner reads: `keys.json` under the home folder.

    {"current": 1, "keys": {"1": "cbk_…", "2": "cbk_…"}, "next": 2, "next_at": 1790000000.0}

A new key is written first and used later: from `next_at` (seconds since 1970) on, when every process has read
the file again.
"""

import json
import os
import stat
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import KeyMissing
from settings import key_bytes, key_text

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Ring:
    """Versions of the fleet's key. `following` takes the place of `current` at `following_at`."""

    keys: Mapping[int, bytes]
    current: int
    following: int | None = None
    following_at: float = 0.0

    def closing(self, now: float) -> int:
        """The version that closes at this time, in seconds since 1970."""
        return self.following if self.following is not None and now >= self.following_at else self.current


def new_key() -> bytes:
    return os.urandom(KEY_BYTES)


def read_ring(path: Path) -> Ring | None:
    """What is in the file; None when it is not there. Raises KeyMissing for one that cannot be used."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            told = json.load(file)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise KeyMissing(f"The file of keys {path} cannot be read ({reason}); make it readable.") from None
    except ValueError:
        raise _damaged(path) from None
    if mode & 0o077:
        raise KeyMissing(f"Others may read the file of keys {path}; run: chmod 600 {path}")
    try:
        keys = {int(number): key_bytes(text) for number, text in told["keys"].items()}
        following, at = told.get("next"), float(told.get("next_at", 0.0))
        good = {number: key for number, key in keys.items() if key is not None}
        ring = Ring(good, int(told["current"]), None if following is None else int(following), at)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _damaged(path) from None
    if len(good) != len(keys) or ring.current not in good or (ring.following or ring.current) not in good:
        raise _damaged(path)
    return ring


def make_ring(path: Path) -> bool:
    """Make the file with a first key unless it is there; of several processes one makes it."""
    if path.exists():
        return False
    draft = _draft(path, Ring({1: new_key()}, 1))
    try:
        os.link(draft, path)  # unlike rename it refuses to replace keys that another made meanwhile
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def write_ring(path: Path, ring: Ring) -> None:
    """Put other keys in the place of what is there, in one step."""
    _draft(path, ring).replace(path)


def with_new_key(ring: Ring, in_seconds: float) -> Ring:
    """The ring with one key more, which is used `in_seconds` from now."""
    number, now = max(ring.keys) + 1, time.time()
    return Ring({**ring.keys, number: new_key()}, ring.closing(now), number, now + in_seconds)


def without_key(ring: Ring, number: int) -> Ring:
    """The ring without a key that nothing needs."""
    keys = {one: key for one, key in ring.keys.items() if one != number}
    return Ring(keys, ring.closing(time.time()))


def _draft(path: Path, ring: Ring) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    told: dict[str, object] = {
        "current": ring.current,
        "keys": {str(number): key_text(key) for number, key in sorted(ring.keys.items())},
    }
    if ring.following is not None:
        told |= {"next": ring.following, "next_at": ring.following_at}
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".keys-")  # mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(told, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _damaged(path: Path) -> KeyMissing:
    return KeyMissing(f"The file of keys {path} is damaged; put back a copy of it, or nothing sealed opens.")
