"""`message.get_result()` for Dramatiq's Results. Results travel with the settlement; this reads them."""

import time
from collections.abc import Callable
from typing import Any

import orjson
from dramatiq import Message
from dramatiq.results import ResultBackend, ResultFailure, ResultMissing, ResultTimeout
from dramatiq.results.backend import DEFAULT_TIMEOUT

from broker.options import removes_itself
from broker.sent import THERE
from jobs.model import Job
from jobs.states import JobState
from jobs.store import JobStore

#: A result is asked for after so long, then at longer and longer intervals: who has waited for long may wait
#: a tenth longer, so that a wait of any length costs the server tens of looks and not thousands.
FIRST_LOOK_S, LONGEST_LOOK_S, SHARE = 0.01, 2.0, 0.1


class JobResults(ResultBackend):
    """Reads results from the jobs themselves. `store` is asked for the store at each call, `opened`
    decrypts what was encrypted."""

    def __init__(self, store: Callable[[], JobStore], opened: Callable[[Job], Job] = lambda job: job) -> None:
        super().__init__()
        self._store_of_jobs = store
        self._opened = opened

    def get_result(self, message: "Message[Any]", *, block: bool = False, timeout: int | None = None) -> Any:
        """The job's result. `timeout` in milliseconds (10 s when `block`).

        A message that met a unique key has the result of the job that is there.

        Raises ResultMissing while it is not there, and when it was not kept, ResultTimeout, ResultFailure
        when the job failed.

        Waiting ends with ResultMissing when the job is gone: it was seen before, or removes itself when
        completed. A job that was never seen is waited for: it may be a later one of a pipeline.
        """
        leaves_nothing = removes_itself(message.options.get("remove_on_complete"))
        seen = False
        # Dramatiq gives its errors the message, whose text has the arguments.
        what = f"Job {message.message_id} of {message.actor_name}"
        job_id = message.__dict__.get(THERE, message.message_id)
        began = time.monotonic()
        deadline = began + (DEFAULT_TIMEOUT if timeout is None else timeout) / 1000
        while True:
            job = self._store_of_jobs().get(job_id)
            if job is not None and job.state.settled:
                record = orjson.loads(found) if (found := self._opened(job).record) else {}
                if job.state is JobState.COMPLETED:
                    if note := record.get("note"):
                        raise ResultMissing(f"{what} has no result: {note}.")  # type: ignore[no-untyped-call]
                    return record.get("result")
                error = record.get("error", {})
                raise ResultFailure(error.get("message", str(job.state)), error.get("type", ""), {})  # type: ignore[no-untyped-call]
            if not block or (job is None and (seen or leaves_nothing)):
                raise ResultMissing(f"{what} has no result.")  # type: ignore[no-untyped-call]
            seen = seen or job is not None
            now = time.monotonic()
            if now > deadline:
                raise ResultTimeout(f"{what} has no result yet.")  # type: ignore[no-untyped-call]
            time.sleep(min(max(FIRST_LOOK_S, SHARE * (now - began)), LONGEST_LOOK_S, deadline - now + 0.001))

    def store_result(self, message: "Message[Any]", result: Any, ttl: int) -> None:
        """Nothing: the broker settles the result together with the job."""

    def store_exception(self, message: "Message[Any]", exception: BaseException, ttl: int) -> None:
        """Nothing: the failure is settled together with the job."""
