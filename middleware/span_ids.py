"""Ids of spans: at random, but for a job's runs, whose ids follow from job and delivery.

So the next delivery can link to the one before without anything being stored in between, and all runs of
a job are one trace even when whoever sent it made none.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from jobs.model import FetchedJob

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from opentelemetry.sdk.trace.id_generator import IdGenerator


class Ids(Protocol):
    """An IdGenerator of OpenTelemetry that can be told the next ids of this thread."""

    def given(self, trace_id: int, span_id: int) -> "AbstractContextManager[None]": ...


def span_id(job: FetchedJob, token: int) -> int:
    """Of the run of one delivery."""
    return _number(8, job.id, job.created_at, token)


def trace_id_of(job: FetchedJob) -> int:
    """Of the runs of a job that came without a trace."""
    return _number(16, job.id, job.created_at)


def make_ids() -> "tuple[Ids, IdGenerator]":
    """The same object as both."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Generator(RandomIdGenerator):
        def __init__(self) -> None:
            self._local = threading.local()

        @contextmanager
        def given(self, trace_id: int, span_id: int) -> Iterator[None]:
            self._local.ids = (trace_id, span_id)
            try:
                yield
            finally:
                self._local.ids = None

        def generate_trace_id(self) -> int:
            ids: tuple[int, int] | None = getattr(self._local, "ids", None)
            return ids[0] if ids else super().generate_trace_id()

        def generate_span_id(self) -> int:
            ids: tuple[int, int] | None = getattr(self._local, "ids", None)
            return ids[1] if ids else super().generate_span_id()

    made = Generator()
    return made, made


def _number(size: int, *parts: object) -> int:
    text = "\0".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=size).digest()) or 1
