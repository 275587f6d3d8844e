"""Ends a run from outside: by an exception in its thread, or by cancelling its coroutine.

Such an exception arrives between any two steps of the thread. So it is sent only while the actor's own
function runs (a hook or Dramatiq's loop would break), and one that was sent a moment too late is taken
back before the thread goes on. On the way of a job that nobody interrupts there is no lock: the thread
says that it has left and then looks for a sender, a sender says that it comes and then looks for the thread.

A cancelled run may clean up: it is not interrupted again for CLEAN_UP_S, whatever the reason. Then it is,
again and again until it ends.
"""

import asyncio
import concurrent.futures
import ctypes
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from dramatiq.asyncio import get_event_loop_thread
from dramatiq.threading import Interrupt, raise_thread_exception

from broker.worker import clean_up as clean
from jobs.error_groups import telling
from jobs.errors import JobCancelled

if TYPE_CHECKING:
    import dramatiq

    from broker.proxy import JobProxy

#: What `JobProxy.thread` says: no thread is in the actor's function, or its coroutine runs on the loop.
NOT_RUNNING, AS_COROUTINE = 0, -1

_here: ContextVar["JobProxy | None"] = ContextVar("callboard_run", default=None)
_sending = threading.Lock()


def interrupt(run: "JobProxy", kind: type[BaseException]) -> None:
    """Raise `kind` in the actor that runs this job; it does not start any more if it has not yet."""
    with _sending:
        now = time.monotonic()
        if run.interrupted is JobCancelled and now < run.patience_until:
            return
        if kind is JobCancelled:
            run.patience_until = now + clean.CLEAN_UP_S
            if run.thread:
                _patience.watch(run)
        run.interrupted = kind
        if run.thread > 0:
            raise_thread_exception(run.thread, kind)  # type: ignore[no-untyped-call]
        elif (stop := run.stop_coroutine) is not None:
            with suppress(RuntimeError):  # the loop was closed by the end of the process
                stop()


_patience = clean.Patience(lambda run: interrupt(run, JobCancelled))


def begin(run: "JobProxy") -> None:
    """This thread is about to run this job."""
    _here.set(run)


def guard(actor: "dramatiq.Actor[..., Any]") -> None:
    """Let the runs of an actor be interrupted. Called as a plain function it stays what it is."""
    function = actor.fn
    coroutine_function = getattr(function, "__wrapped__", None)
    if iscoroutinefunction(coroutine_function):
        actor.fn = _guarded_coroutine(function, coroutine_function)
    else:
        actor.fn = _guarded(function)


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def run_here(*args: Any, **kwargs: Any) -> Any:
        run = _here.get()
        if run is None or run.thread:
            return function(*args, **kwargs)
        try:
            run.thread = threading.get_ident()
            if run.interrupted is not None:
                raise run.interrupted  # noqa: TRY301  as if it had come a moment later
            return function(*args, **kwargs)
        except BaseException as error:
            cancelled = clean.ended_by_cancellation(run, error)
            if cancelled is None:
                raise
            clean.clean_up(run)
            if cancelled is error:
                raise
            raise cancelled from error
        finally:
            run.thread = NOT_RUNNING
            _here.set(None)
            if run.interrupted is not None:
                _take_back()

    return run_here


def _take_back() -> None:
    try:
        with _sending:
            # Nobody sends any more; what was sent and has not arrived is withdrawn.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threading.get_ident()), None)
    except (JobCancelled, Interrupt):
        pass  # it arrived just now, after the function had ended: too late


def _guarded_coroutine(
    plain: Callable[..., Any], function: Callable[..., Coroutine[Any, Any, Any]]
) -> Callable[..., Any]:
    @wraps(function)
    def run_on_the_loop(*args: Any, **kwargs: Any) -> Any:
        run, loop_thread = _here.get(), get_event_loop_thread()
        if run is None or run.thread or loop_thread is None:
            return plain(*args, **kwargs)
        run.thread = AS_COROUTINE
        try:
            return loop_thread.run_coroutine(_stoppable(run, function(*args, **kwargs)))
        except (asyncio.CancelledError, concurrent.futures.CancelledError):
            if run.interrupted is None:
                raise
            raise clean.worded(run, run.interrupted()) from None
        except BaseException as error:
            cancelled = clean.ended_by_cancellation(run, error)
            if cancelled is None or cancelled is error:
                raise
            raise cancelled from error
        finally:
            run.thread = NOT_RUNNING
            _here.set(None)

    return run_on_the_loop


async def _stoppable(run: "JobProxy", coroutine: Coroutine[Any, Any, Any]) -> Any:
    # The task and not its future is cancelled, so that the thread waits until it has cleaned up.
    task = asyncio.current_task()
    assert task is not None
    run.stop_coroutine = partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel)
    if run.interrupted is not None:
        task.cancel()
    try:
        return await coroutine
    except BaseException as error:
        if run.interrupted is JobCancelled or isinstance(telling(error), JobCancelled):
            await clean.clean_up_on_loop(run)
        raise
    finally:
        run.stop_coroutine = None
