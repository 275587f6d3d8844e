"""The job store in memory: for tests of users and ours. One lock, the same promises as Redis."""

from jobs.memory.store import MemoryStore, wall_clock_ms

__all__ = ["MemoryStore", "wall_clock_ms"]
