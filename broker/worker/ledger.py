"""Which deliveries have started and are not settled yet, written where the lease helper can read it.

A process holds more than it runs: short jobs a moment ahead of its threads, and replies on their way.
When it is killed only what had started may count as run. The helper outlives it, reads this memory and
gives everything else back unspent. A start is written before the job runs, in well under a microsecond.
"""

import mmap
import os
import struct
import tempfile
import weakref
from typing import BinaryIO

#: One slot: 1 when taken, length of the id, delivery token, id. Slot 0 says if there were ever too few, and
#: which run must have ended soonest: slot, token, and when, in milliseconds of the monotonic clock.
SLOT_BYTES = 256
_ID_AT = 10
LONGEST_ID = SLOT_BYTES - _ID_AT
_LIMIT = struct.Struct(">QQQ")
_NO_LIMIT = bytes(_LIMIT.size)
_LIMIT_END = 1 + _LIMIT.size
#: A start that found no slot. From then on everything counts as started.
NO_SLOT = -1


class Ledger:
    """The writing side, in the worker process. Not safe for threads by itself; `holdings` has the lock."""

    def __init__(self, capacity: int) -> None:
        size = (capacity + 1) * SLOT_BYTES
        self._file = _shared_file()
        self._file.truncate(size)
        self._memory = mmap.mmap(self._file.fileno(), size)
        self._free = list(range(1, capacity + 1))
        weakref.finalize(self, _close, self._memory, self._file)

    @property
    def descriptor(self) -> int:
        """What the helper inherits."""
        return self._file.fileno()

    def start(self, job_id: str, token: int) -> int:
        """Note a delivery that is about to run; returns its slot."""
        name = job_id.encode()
        if not self._free or len(name) > LONGEST_ID:
            self._memory[0] = 1
            return NO_SLOT
        slot = self._free.pop()
        at = slot * SLOT_BYTES
        self._memory[at + 1 : at + _ID_AT + len(name)] = bytes((len(name),)) + token.to_bytes(8, "big") + name
        self._memory[at] = 1  # last, so that a reader never sees half a slot
        return slot

    def settled(self, slot: int) -> None:
        """The store has the outcome."""
        if slot != NO_SLOT:
            self._memory[slot * SLOT_BYTES] = 0
            self._free.append(slot)

    def watch(self, slot: int, token: int, until: float) -> None:
        """The run of this slot must have ended by then (monotonic seconds)."""
        if slot == NO_SLOT:
            self.unwatch()
            return
        self._memory[1:_LIMIT_END] = _LIMIT.pack(slot, token, round(until * 1000))

    def unwatch(self) -> None:
        """Nothing runs that has a limit."""
        self._memory[1:_LIMIT_END] = _NO_LIMIT


def read_limit(descriptor: int) -> float | None:
    """When the watched run must have ended, in monotonic seconds; None when it has, or none is watched."""
    slot, token, until = _LIMIT.unpack(os.pread(descriptor, _LIMIT.size, 1))
    if not slot:
        return None
    taken = os.pread(descriptor, _ID_AT, slot * SLOT_BYTES)
    there = taken[:1] == b"\x01" and int.from_bytes(taken[2:_ID_AT], "big") == token
    return until / 1000 if there else None


def read_started(descriptor: int) -> dict[str, int] | None:
    """The reading side, in the helper: ids and tokens of what has started, or None when that is not known."""
    size = os.fstat(descriptor).st_size
    started = {}
    with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as memory:
        if memory[0]:
            return None
        for at in range(SLOT_BYTES, size, SLOT_BYTES):
            if memory[at]:
                name = memory[at + _ID_AT : at + _ID_AT + memory[at + 1]]
                started[name.decode()] = int.from_bytes(memory[at + 2 : at + _ID_AT], "big")
    return started


def _shared_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("callboard-ledger"), "w+b")
    return tempfile.TemporaryFile()


def _close(memory: mmap.mmap, file: BinaryIO) -> None:
    memory.close()
    file.close()
