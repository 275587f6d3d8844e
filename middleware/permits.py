"""What `limit()` gives: a permit that was taken, or on an event loop one that is taken where it is awaited.

Taking one asks the store and may wait, so a loop, which all its jobs share, does it in a thread.
"""

import asyncio
import logging
from collections.abc import Callable, Generator
from functools import partial
from types import TracebackType

from jobs.errors import CallboardError, PermanentError
from middleware.under_way import Block, UnderWay

logger = logging.getLogger(__name__)

#: Gives a permit back; None where there is nothing to give back.
End = Callable[[], None] | None


class Permit:
    """In a plain function: `with limit(…)`, or the call alone. In an `async def`: `async with limit(…)`, or
    `await limit(…)`. The two of `with` give it back at the end of their block; the run does not end before
    that."""

    def __init__(self, end: End = None, under_way: UnderWay | None = None) -> None:
        self._end = end
        self._under_way = under_way
        self._block: Block | None = None

    def __enter__(self) -> "Permit":
        self._enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end, self._end = self._end, None
        try:
            _give_back(end)
        finally:
            self._leave()

    async def __aenter__(self) -> "Permit":
        self._enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end, self._end = self._end, None
        try:
            if end is not None:
                await _in_a_thread(partial(_give_back, end))
        finally:
            self._leave()

    def __await__(self) -> Generator[object, None, "Permit"]:
        return self._taken().__await__()

    async def _taken(self) -> "Permit":
        return self

    def _enter(self) -> None:
        if self._end is not None and self._under_way is not None:
            self._block = self._under_way.enter()

    def _leave(self) -> None:
        block, self._block = self._block, None
        if block is not None and self._under_way is not None:
            self._under_way.leave(block)


class PermitToCome(Permit):
    """Of a coroutine. `take` asks the store; `forgotten` is called when nobody has awaited it."""

    def __init__(
        self, resource: str, take: Callable[[], End], forgotten: Callable[[], None], under_way: UnderWay
    ) -> None:
        super().__init__(under_way=under_way)
        self._resource = resource
        self._take: Callable[[], End] | None = take
        self._forgotten = forgotten

    def __enter__(self) -> "Permit":
        self._take = None
        raise PermanentError(
            f"limit({self._resource!r}) would hold up the event loop and every job on it: "
            "write `async with`, or `await limit(…)`."
        )

    async def __aenter__(self) -> "Permit":
        await self._taken()
        self._enter()
        return self

    async def _taken(self) -> "Permit":
        take, self._take = self._take, None
        if take is not None:
            self._end = await _in_a_thread(take)
        return self

    def __del__(self) -> None:
        if self._take is not None:
            self._forgotten()


def on_an_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _give_back(end: End) -> None:
    """What was done is done: a store that is away must not fail it, and permits end with the delivery."""
    if end is None:
        return
    try:
        end()
    except CallboardError as error:
        logger.info("a permit is given back at the end of its job: %s", error)


async def _in_a_thread(call: Callable[[], End]) -> End:
    """What `call` returns. Where nobody waits for that any more, its permit goes back at once."""
    inner = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(inner)
    except asyncio.CancelledError:
        inner.add_done_callback(_came_too_late)
        raise


def _came_too_late(inner: "asyncio.Future[End]") -> None:
    if not inner.cancelled() and inner.exception() is None and (end := inner.result()) is not None:
        inner.get_loop().run_in_executor(None, _give_back, end)
