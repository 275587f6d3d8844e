"""The API's bearer key. Only its SHA-256 digest is kept, in a file that nobody else may read."""

import hashlib
import hmac
import json
import os
import secrets
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from jobs.errors import CallboardError

PREFIX = "cb_"  # lets secret scanners and people recognise a key
KEY_BYTES = 32


class KeyFileError(CallboardError):
    """The key file cannot be used as it is."""


class KeyFile:
    """Makes, checks and replaces the key whose digest lies in `home/api-key.json`."""

    def __init__(self, home: Path) -> None:
        self.path = home / "api-key.json"

    def ensure(self) -> str | None:
        """Make a key on first use and return it, to be shown once; None when there is one already.

        Of several processes that start at once exactly one makes the key.
        """
        if self.path.exists():
            self._digest()
            return None
        key = _new_key()
        draft = self._draft(key)
        try:
            # Unlike rename, link refuses to replace a key that another process made meanwhile.
            os.link(draft, self.path)
        except FileExistsError:
            return None
        finally:
            draft.unlink()
        return key

    def rotate(self) -> str:
        """Replace the key; the old one is refused from now on, by a running API too."""
        key = _new_key()
        self._draft(key).replace(self.path)
        return key

    def matches(self, key: str) -> bool:
        """Whether this is the key. Takes the same time for every wrong one.

        The file is read each time, so that a rotation holds at once.
        """
        digest = hashlib.sha256(key.encode()).hexdigest()
        return hmac.compare_digest(digest, self._digest())

    def _draft(self, key: str) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        record = {
            "sha256": hashlib.sha256(key.encode()).hexdigest(),
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".api-key-")  # mode 0600
        with os.fdopen(handle, "w") as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        return Path(name)

    def _digest(self) -> str:
        try:
            with self.path.open() as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                record = json.load(file)
            digest = record["sha256"]
        except FileNotFoundError:
            raise KeyFileError(
                f"there is no API key in {self.path}; make one with: callboard api-key rotate"
            ) from None
        except (ValueError, KeyError, TypeError):
            raise KeyFileError(
                f"the key file {self.path} is damaged; make a new key with: callboard api-key rotate"
            ) from None
        if mode & 0o077:
            raise KeyFileError(f"others may read or change {self.path}; run: chmod 600 {self.path}")
        if not isinstance(digest, str) or len(digest) != 64 or not digest.isascii():
            raise KeyFileError(
                f"the key file {self.path} is damaged; make a new key with: callboard api-key rotate"
            )
        return digest


def _new_key() -> str:
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)
