"""What every request passes before a router sees it: key, body size, headers, log line, last resort.

It is plain ASGI rather than a FastAPI dependency, because FastAPI reads and parses the body before
it looks at dependencies: without the right key nothing of a request is read.
"""

import logging
import secrets
import time
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control.api.errors import INTERNAL, TOO_LARGE, UNAUTHORIZED

log = logging.getLogger("callboard.api")

PROTECTED = "/api/"
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware. `matches` tells whether a bearer key is right; `max_body` is in bytes.

    What begins like one of `protected` needs a key.
    """

    def __init__(
        self,
        app: ASGIApp,
        matches: Callable[[str], bool],
        max_body: int,
        protected: tuple[str, ...] = (PROTECTED,),
    ) -> None:
        self.app = app
        self.protected = protected
        self.matches = matches
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id, status, began = secrets.token_hex(8), 0, time.perf_counter()

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers["X-Request-Id"] = request_id
            await send(message)

        try:
            await self._pass(scope, receive, send_marked)
        except Exception:
            log.exception("request %s failed", request_id)
            if status:
                raise  # the answer has begun: only breaking the connection tells the client
            answer = INTERNAL.response(
                f"something broke on our side; the log says what, under request {request_id}",
                request_id=request_id,
            )
            await answer(scope, receive, send_marked)
        took = round((time.perf_counter() - began) * 1000)
        # The path alone: a query may carry what belongs in no log.
        path = scope["path"].encode("ascii", "backslashreplace").decode()
        log.info("%s %s %d %d ms %s", scope["method"], path, status, took, request_id)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer: ASGIApp | None = await self._refuse(scope)
        if answer is None:
            body = await self._read(Headers(scope=scope), receive)
            answer = self.app if body is not None else self._too_large()
            receive = _replay(body or b"", receive)
        await answer(scope, receive, send)

    async def _refuse(self, scope: Scope) -> Response | None:
        """The answer for a request without the right key, or None."""
        if not scope["path"].startswith(self.protected):
            return None
        scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            return UNAUTHORIZED.response(
                "this needs the API key: send the header 'Authorization: Bearer <key>'"
            )
        if not await run_in_threadpool(self.matches, key.strip()):
            return UNAUTHORIZED.response(
                "this API key is not right; make a new one with: callboard api-key rotate"
            )
        return None

    async def _read(self, headers: Headers, receive: Receive) -> bytes | None:
        """The whole body, or None when it is over the limit (declared, or found while reading)."""
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.max_body:
            return None
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return b""  # half a body is none, and nobody waits for the answer
            body += message.get("body", b"")
            if len(body) > self.max_body:
                return None
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self) -> Response:
        return TOO_LARGE.response(f"the body is over the limit of {self.max_body:,} bytes")


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out the body in one piece, then whatever comes after it."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
