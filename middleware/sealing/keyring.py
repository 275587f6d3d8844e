"""The versions of the fleet's key that this process has: from the settings, else from a file."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from jobs.errors import KeyMissing
from middleware.sealing.ring_file import Ring, read_ring
from middleware.sealing.signing import Signer, derived

#: The file is looked at so often, in seconds; a version that is not known makes it be looked at sooner.
LOOK_EVERY_S = 5.0
LOOK_SOONER_S = 1.0
#: From a new version in the file to its use, in seconds: every process has looked by then.
USED_AFTER_S = 3 * LOOK_EVERY_S


class Keyring:
    """`given` are the settings' keys; without any, `file` is read at the first use, and when it has changed.

    `shared` says whether the server is one that others reach, for the words of what is missing.
    """

    def __init__(
        self,
        given: Mapping[int, bytes],
        current: int | None,
        file: Path,
        shared: Callable[[], bool] = lambda: False,
    ) -> None:
        self._given = Ring(dict(given), current or max(given)) if given else None
        self._file = file
        self._shared = shared
        self._ring = self._given
        self._seen: tuple[int, int] | None = None
        self._look_at = 0.0
        self._looked = 0.0
        self._signers: dict[int, Signer] = {}
        self._digester: Signer | None = None
        self._signer: Signer | None = None  # of the version that closes

    @property
    def file(self) -> Path | None:
        """Where the keys are; None: in the settings."""
        return self._file if self._given is None else None

    def ring(self) -> Ring:
        """All versions, as they are now. Raises KeyMissing."""
        self._look(time.monotonic(), sooner=True)
        return self._here()

    def closing(self) -> Signer:
        """What signs now; its `number` is the version that closes. Raises KeyMissing."""
        now, signer = time.monotonic(), self._signer  # other threads may change it meanwhile
        if now >= self._look_at or signer is None:
            self._look(now)
            ring, wall = self._here(), time.time()
            signer = self._signer = self.signer(ring.closing(wall))
            if ring.following is not None and wall < ring.following_at:
                self._look_at = min(self._look_at, now + ring.following_at - wall)
        return signer

    def look_again(self) -> None:
        """The file was changed here."""
        self._looked = self._look_at = float("-inf")
        self._look(time.monotonic())

    def signer(self, number: int) -> Signer:
        """What checks signatures of a version. Raises KeyMissing."""
        signer = self._signers.get(number)
        if signer is None:
            signer = self._signers[number] = Signer(number, derived(self.key(number), "sign"))
        return signer

    def key(self, number: int) -> bytes:
        """One version. Raises KeyMissing."""
        ring = self._ring
        if ring is None or number not in ring.keys:
            self._look(time.monotonic(), sooner=True)
            ring = self._here()
        try:
            return ring.keys[number]
        except KeyError:
            raise KeyMissing(
                f"Key {number} of the fleet is not here: give this process all keys of the ring."
            ) from None

    def digester(self) -> Signer:
        """What makes digests: of the oldest version, so that a rotation changes none. Raises KeyMissing."""
        digester = self._digester
        if digester is None:
            number = min(self._here().keys)
            digester = self._digester = Signer(number, derived(self.key(number), "digest"))
        return digester

    def _here(self) -> Ring:
        if self._ring is None:
            self._look(time.monotonic())
        if self._ring is None:
            raise KeyMissing(self._advice())
        return self._ring

    def _look(self, now: float, *, sooner: bool = False) -> None:
        """Read the file again when it has changed."""
        if self._given is not None:
            self._look_at = float("inf")
            return
        if sooner and self._ring is not None and now < self._looked + LOOK_SOONER_S:
            return
        self._looked, self._look_at = now, now + LOOK_EVERY_S
        try:
            facts = self._file.stat()
        except OSError:
            return  # what is known stays; a file that is moved away is put back, or missed at the next start
        seen = (facts.st_mtime_ns, facts.st_ino)
        if seen != self._seen:
            ring = read_ring(self._file)
            if ring is None:
                return
            if self._ring is not None and min(ring.keys) != min(self._ring.keys):
                self._digester = None
            self._signers = {number: one for number, one in self._signers.items() if number in ring.keys}
            self._ring, self._seen, self._signer = ring, seen, None

    def _advice(self) -> str:
        if self._shared():
            return (
                "There is no key for this server's jobs: run `callboard keys new` once and give what it "
                "prints to every process (CALLBOARD_KEYS__RING__1, or keys.ring in callboard.toml)."
            )
        return f"There is no key in {self._file}: the first start of `callboard up` makes one."
