"""Arguments that are too large for the store: put away at send, fetched when the job runs.

Those of messages that come along, to be sent later, stay where they are: their jobs are not there yet, so a
sweep would take their blobs for nobody's.
"""

import hashlib
import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson

from broker.brought import refusal
from broker.json_form import json_form
from broker.sent import SentMessage, as_sent
from jobs.blobs import OPTION, BlobMissing, BlobStore
from jobs.errors import PayloadTooLarge
from jobs.model import FetchedJob
from jobs.sealing import About

if TYPE_CHECKING:
    from broker.codec import Codec
    from broker.proxy import JobProxy


class LargeArguments:
    """`open_store` is called at the first blob; `max_bytes` bounds what is put away of one job."""

    def __init__(self, open_store: Callable[[], BlobStore], codec: "Codec", max_bytes: int) -> None:
        self._store = cache(open_store)
        self._codec = codec
        self._max_bytes = max_bytes

    def put_away(self, message: SentMessage[Any], tenant: str, *, secret: bool) -> bytes:
        """The payload with a reference in place of the arguments. Raises PayloadTooLarge, KeyMissing, before
        anything is put away, and what the blob store raises."""
        data = orjson.dumps([message.args, message.kwargs], default=json_form)
        if self._codec.seal is not None:
            about = About("blob", tenant, message.actor_name, message.queue_name, message.message_id)
            data = self._codec.seal.close(data, about, secret=secret)
        if len(data) > self._max_bytes:
            raise PayloadTooLarge(
                f"The arguments of {message.actor_name} take {len(data):,} bytes, more than the "
                f"{self._max_bytes:,} that blobs may have; store the data and send its id, or raise "
                f"blobs.max_bytes."
            )
        key = os.urandom(16).hex()
        reference = {"key": key, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        small = as_sent(message, message.message_id)
        small.__dict__.update(args=(), kwargs={}, options={**message.options, OPTION: reference})
        try:  # first: the blob of a message that is refused would be nobody's
            payload = self._codec.encode(small, tenant, secret=secret)
        except PayloadTooLarge as error:
            raise refusal(message, error, self._codec.max_bytes, own=False) from None
        self._store().put(key, message.message_id, data)
        return payload

    def fetch(self, run: "JobProxy") -> None:
        """Give a run its arguments. Raises BlobMissing, ForgedMessage, KeyMissing, and what the blob store
        raises."""
        reference = run.options.pop(OPTION)
        try:
            key, digest = reference["key"], reference["sha256"]
        except (TypeError, KeyError):
            raise BlobMissing(f"job {run.message_id} names no blob") from None
        args, kwargs = self._read(key, digest, run.job)
        run.replace_arguments(tuple(args), kwargs)

    def _read(self, key: str, digest: str, job: FetchedJob) -> Any:
        data = self._store().get(key)
        if data is None:
            raise BlobMissing(
                f"the arguments of job {job.id} are not in the blob store: they were removed, or this worker "
                f"uses another store than the sender (settings, blobs)"
            )
        if hashlib.sha256(data).hexdigest() != digest:
            raise BlobMissing(f"the arguments of job {job.id} in the blob store are damaged")
        if self._codec.seal is not None:
            about = About("blob", job.lane, job.actor, job.queue, job.id)
            data = self._codec.seal.open(data, about).plain
        return orjson.loads(data)
