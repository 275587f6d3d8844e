"""A fleet's key for tests, and jobs that go into a store past the broker, signed as it signs them."""

from pathlib import Path
from typing import Never

from jobs.model import NewJob
from jobs.sealing import About
from middleware.sealing import FleetSeal, Keyring, TenantKeys
from middleware.sealing.ring_file import Ring, write_ring
from settings import key_text

KEY = bytes(range(32))
#: For processes, and for `Settings(keys=KEYS)`.
KEY_VARIABLE = {"CALLBOARD_KEYS__RING__1": key_text(KEY)}
KEYS = {"ring": {"1": key_text(KEY)}}


def give_keys(home: Path) -> None:
    """Put the key into a home folder, as the first start of `callboard up` does."""
    write_ring(home / "keys.json", Ring({1: KEY}, 1))


def signing_seal() -> FleetSeal:
    """Signs with the key. It has no database, so it cannot encrypt."""
    ring = Keyring({1: KEY}, None, Path("/nowhere"))
    return FleetSeal(ring, TenantKeys(ring, _no_database))


def signed(job: NewJob, sealed_at: int | None = None) -> NewJob:
    """The job with its payload signed, at this time in ms or now."""
    about = About("payload", job.lane, job.actor, job.queue, job.id)
    return job._replace(payload=signing_seal().close(job.payload, about, secret=False, sealed_at=sealed_at))


def _no_database() -> Never:
    raise AssertionError("a signature needs no database")
