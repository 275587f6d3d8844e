"""Results and progress: encrypted on their way out of a worker process where the payload was, decrypted where
they are read. Steps and logs go through the codec's `close_note` and `open_note` themselves.

The result of a job whose payload was only signed is in clear. Of progress the numbers always are.
"""

import logging
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

import orjson

from broker.codec import Codec, NoteKind, is_secret
from broker.proxy import JobProxy
from jobs.errors import ForgedMessage, KeyMissing
from jobs.model import FetchedJob, Job, Verdict

logger = logging.getLogger("callboard.notes")

#: The key in a record or a progress report under which the encrypted part stands, as base64.
SEALED = "sealed"
#: Settled jobs that are remembered, because a report of theirs may still be on its way out.
MOST_SETTLED = 10_000
LOST = orjson.dumps({"result": None, "note": "it could not be encrypted, so the result was not kept"})


class Notes:
    """Of one broker. `codec` has the seal."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._running: WeakValueDictionary[str, JobProxy] = WeakValueDictionary()
        self._settled: OrderedDict[str, FetchedJob] = OrderedDict()
        self._lock = Lock()

    def begin(self, proxy: JobProxy) -> None:
        """An encrypted job is here from now on."""
        self._running[proxy.message_id] = proxy

    def verdict(self, proxy: JobProxy, verdict: Verdict) -> Verdict:
        """A verdict as it may leave the process: without its result where that cannot be encrypted."""
        if not proxy.secret:
            return verdict
        with self._lock:
            self._settled[proxy.message_id] = proxy.job
            if len(self._settled) > MOST_SETTLED:
                self._settled.popitem(last=False)
        record, progress = verdict.record, verdict.progress
        if record is not None and "result" in (told := _json(record)):
            record = self._closed("result", proxy.job, told, ("result", "note")) or LOST
        if progress is not None:
            progress = self._report(progress, proxy.job)
        return verdict._replace(record=record, progress=progress)

    def progress(self, updates: Mapping[str, tuple[int, bytes]]) -> Mapping[str, tuple[int, bytes]]:
        """Progress as it may leave the process: numbers stay clear, messages of encrypted jobs do not."""
        if not self._running and not self._settled:
            return updates
        return {job_id: (token, self._of(job_id, report)) for job_id, (token, report) in updates.items()}

    def opened(self, job: Job) -> Job:
        """A stored job with its result and its progress readable, where the key is here. One that was opened
        before stays as it is."""
        if self._codec.seal is None:
            return job
        secret = is_secret(job)
        record, progress = _json(job.record), _json(job.progress)
        if SEALED not in record and SEALED not in progress and not secret:
            return job
        return replace(
            job,
            record=self._merged("result", job, record, job.record, "result" if secret else ""),
            progress=self._merged("progress", job, progress, job.progress, "message" if secret else ""),
        )

    def _of(self, job_id: str, report: bytes) -> bytes:
        proxy = self._running.get(job_id)
        job = proxy.job if proxy is not None else self._settled.get(job_id)
        return report if job is None else self._report(report, job)

    def _report(self, report: bytes, job: FetchedJob) -> bytes:
        told = _json(report)
        if not told.get("message"):
            return report
        closed = self._closed("progress", job, told, ("message",))
        return closed or orjson.dumps({name: value for name, value in told.items() if name != "message"})

    def _closed(
        self, kind: NoteKind, job: FetchedJob, told: Mapping[str, Any], secret: tuple[str, ...]
    ) -> bytes | None:
        """The same with what is `secret` of it encrypted; None when that cannot be done."""
        hidden = {name: value for name, value in told.items() if name in secret}
        shown = {name: value for name, value in told.items() if name not in secret}
        try:
            sealed = self._codec.close_note(kind, job, hidden)
        except KeyMissing:
            return None
        except Exception as error:  # noqa: BLE001
            # A job whose verdict does not leave stays active for as long as this process lives.
            logger.error("the %s of job %s could not be encrypted: %s", kind, job.id, type(error).__name__)
            return None
        return orjson.dumps({**shown, SEALED: b64encode(sealed).decode()})

    def _merged(
        self, kind: NoteKind, job: Job, told: dict[str, Any], stored: bytes | None, hidden: str
    ) -> bytes | None:
        """The parts put together. `hidden` is never in clear where this fleet wrote it."""
        if SEALED not in told:
            if not hidden or told.get(hidden) in (None, ""):
                return stored
            note = f"the {kind} of this encrypted job is in clear: somebody else wrote it"
            return orjson.dumps({**told, hidden: None, "note": note})
        try:
            sealed = b64decode(str(told[SEALED]), validate=True)
            # The sealed part stays, so that what was opened can be told from what somebody else wrote.
            return orjson.dumps({**told, **self._codec.open_note(kind, job, sealed)})
        except (KeyMissing, ForgedMessage, NotBase64, TypeError) as error:
            told = {name: value for name, value in told.items() if name != hidden}
            return orjson.dumps({**told, "note": f"it cannot be read: {error}"})


def _json(data: bytes | None) -> dict[str, Any]:
    try:
        value = orjson.loads(data) if data else {}
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
