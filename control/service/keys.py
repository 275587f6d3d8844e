"""The fleet's keys: a new version taken into use, everything brought over to it, an old one given up; and the
end of one tenant's data.
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from broker.codec import UndecodablePayload
from control.service.errors import NotConfirmed, NotPossible
from control.service.journal import acting, record
from control.service.views import View
from jobs.errors import CallboardError, KeyMissing, KeyShredded
from jobs.model import Job
from middleware.sealing.envelope import head_of
from middleware.sealing.keyring import USED_AFTER_S
from middleware.sealing.ring_file import make_ring, with_new_key, without_key, write_ring

if TYPE_CHECKING:
    from pathlib import Path

    from actors.composition import App
    from middleware.sealing import FleetSeal, Keyring
    from middleware.sealing.ring_file import Ring

PAGE = 200


class KeyVersion(View):
    """One version of the fleet's key. `needed` counts the payloads and tenants' keys that need it, where that
    was asked for."""

    number: int
    closes: bool
    used_from: float | None = None  # seconds since 1970, for one that is not used yet
    needed: int | None = None


class Resealed(NamedTuple):
    """What one chunk of payloads or of tenants' keys did: looked at, sealed anew, and such that cannot be
    opened."""

    looked: int
    done: int
    unreadable: int
    what: str = "payloads of jobs"


class KeyActions:
    """`by` is who does it. All raise KeyMissing, and StoreUnavailable or DatabaseUnavailable."""

    def __init__(self, app: "App", by: str) -> None:
        self._app = app
        self._by = by

    def versions(self, *, count: bool = False) -> list[KeyVersion]:
        """The versions that this process has; `count` also looks through all jobs for who needs them."""
        ring = self._ring.ring()
        closes = ring.closing(time.time())
        needed = self._needed() if count else {}
        return [
            KeyVersion(
                number=number,
                closes=number == closes,
                used_from=ring.following_at if number == ring.following and number != closes else None,
                needed=needed.get(number, 0) if count else None,
            )
            for number in sorted(ring.keys)
        ]

    def first(self) -> bool:
        """Make the file of keys with a first key; False when it is there. Raises NotPossible."""
        made = make_ring(self._file("make one"))
        if made:
            record(self._by, "keys.new", number=1)
        return made

    def add(self) -> KeyVersion:
        """Put a new version into the file. It is used from a time on by which every process of this host has
        read it. Raises NotPossible when the keys are in the settings."""
        file = self._file("rotate")
        ring = with_new_key(self._ring.ring(), USED_AFTER_S)
        number = max(ring.keys)
        with acting(self._app, self._by, "keys.rotate", target=str(number)):
            write_ring(file, ring)
            self._ring.look_again()
        record(self._by, "keys.rotate", number=number)
        return KeyVersion(number=number, closes=False, used_from=ring.following_at)

    def reseal(self) -> Iterator[Resealed]:
        """Bring payloads and tenants' keys over to the version that closes, in chunks.

        Nothing stops meanwhile: a payload that changes under this is left as it is.
        """
        current = self._ring.closing().number
        with acting(self._app, self._by, "keys.reseal", target=str(current)) as deed:
            deed.count = 0
            for wrapped in self._seal.tenants.rewrap():
                deed.count += wrapped
                yield Resealed(wrapped, wrapped, 0, "tenants' keys")
            for page in self._pages():
                chunk = self._reseal(page, current)
                deed.count += chunk.done
                yield chunk

    def retire(self, number: int) -> None:
        """Give up a version that nothing needs. Raises NotPossible while something does, or may soon."""
        file = self._file(f"take {number} away from")
        ring = self._ring.ring()
        if number not in ring.keys:
            raise NotPossible(f"There is no key {number}; `callboard keys list` shows those that there are.")
        if number in (ring.closing(time.time()), ring.following):
            raise NotPossible(f"Key {number} is in use; rotate first.")
        self._wait_for_the_last(ring)
        needed = self._needed().get(number, 0)
        if needed:
            raise NotPossible(
                f"{needed:,} payloads or tenants' keys need key {number}; run `callboard keys rotate "
                "--reseal`, and try again when jobs that run have ended."
            )
        with acting(self._app, self._by, "keys.retire", target=str(number)):
            write_ring(file, without_key(ring, number))
            self._ring.look_again()
        record(self._by, "keys.retire", number=number)

    def shred(self, tenant: str, confirm: str) -> bool:
        """Delete a tenant's key: nothing that was encrypted for it can be read again. False: it had none, and
        gets none. Raises NotConfirmed unless `confirm` is the tenant's id once more."""
        if confirm != tenant:
            raise NotConfirmed("Nothing was shredded: confirm with the tenant's id once more.")
        with acting(self._app, self._by, "keys.shred", target=tenant, tenant=tenant) as deed:
            done = self._seal.tenants.shred(tenant)
            deed.count = int(done)
        record(self._by, "keys.shred", tenant=tenant)
        return done

    def restore(self, tenant: str) -> bool:
        """Give a tenant whose key was shredded a new one, for new jobs; False when it was not shredded."""
        with acting(self._app, self._by, "keys.restore", target=tenant, tenant=tenant) as deed:
            done = self._seal.tenants.restore(tenant)
            deed.count = int(done)
        if done:
            record(self._by, "keys.restore", tenant=tenant)
        return done

    def _reseal(self, page: list[Job], current: int) -> Resealed:
        done = unreadable = 0
        store, codec, keys = self._app.store, self._app.broker.codec, self._ring.ring().keys
        for job in page:
            version = _version(job)
            if version == current:
                continue
            if version not in keys:
                unreadable += 1
                continue
            try:
                done += store.replace_payload(job.id, job.payload, codec.resealed(job))
            except KeyShredded:
                unreadable += 1
            except UndecodablePayload as error:
                _look_at_why(error)
                unreadable += 1  # forged, or shredded: it opens for nobody
        return Resealed(len(page), done, unreadable)

    def _wait_for_the_last(self, ring: "Ring") -> None:
        """A message may be on its way for as long as workers take it: only then all that there is is in the
        store."""
        tolerance = self._app.settings.keys.tolerance / 1000
        left = ring.following_at + tolerance - time.time() if ring.following is not None else 0.0
        if left > 0:
            raise NotPossible(
                f"Key {ring.following} is in use for less than {tolerance / 60:.0f} min, and messages that "
                f"were closed before may still arrive; try again in {left / 60:.0f} min."
            )

    def _needed(self) -> dict[int, int]:
        """How many payloads and tenants' keys need each version. What opens for nobody needs none.

        Raises KeyMissing (KeyUnavailable too) when a key that this depends on cannot be asked for."""
        ring, needed = self._ring.ring(), dict[int, int]()
        for number in ring.keys:
            needed[number] = self._seal.tenants.wrapped_with(number)
        closes = self._ring.closing().number
        for page in self._pages():
            for job in page:
                number = _version(job)
                if number in needed and (number == closes or self._opens(job)):
                    needed[number] += 1
        return needed

    def _opens(self, job: Job) -> bool:
        try:
            self._app.broker.codec.opened(job)
        except UndecodablePayload as error:
            _look_at_why(error)
            if isinstance(error.__cause__, KeyShredded) and not self._seal.tenants.has_been(job.lane):
                raise KeyMissing(
                    f"Job {job.id} is encrypted for tenant {job.lane!r}, which has no key in this database: "
                    "see that DATABASE_URL names the fleet's, or remove the job."
                ) from None
            return False
        return True

    def _pages(self) -> Iterator[list[Job]]:
        """All jobs of all queues, whoever declares them, page by page; some may be met twice."""
        after: str | None = ""
        while after is not None:
            page, after = self._app.store.scan_all(PAGE, after)
            if page:
                yield page

    def _file(self, what: str) -> "Path":
        file = self._ring.file
        if file is None:
            raise NotPossible(
                f"The keys are in the settings, so there is no file to {what}: put a new key into keys.ring "
                "of every process first, then change keys.current of every process, then run "
                "`callboard keys rotate --reseal`."
            )
        return file

    @property
    def _seal(self) -> "FleetSeal":
        return self._app.sealing.seal

    @property
    def _ring(self) -> "Keyring":
        return self._app.sealing.ring


def _look_at_why(error: UndecodablePayload) -> None:
    """Raise why, unless it opens for nobody: a key that is not there now is no key that is not needed."""
    why = error.__cause__
    if isinstance(why, KeyMissing) and not isinstance(why, KeyShredded):
        raise why


def _version(job: Job) -> int:
    try:
        return head_of(job.payload).key
    except CallboardError:
        return 0
