"""A span for each request under /api, so that a job's trace begins where somebody asked for it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from middleware.tracing import Tracing

TRACED = "/api/"


class TracedRequests:
    """ASGI middleware, inside the guard: who has no key makes no span. The client's traceparent is heard.

    Neither path, query nor body is in the span, but the route.
    """

    def __init__(self, app: ASGIApp, open_tracing: "Callable[[], Tracing]") -> None:
        self.app = app
        self._open = open_tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(TRACED):
            await self.app(scope, receive, send)
            return
        from opentelemetry import context
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        method, status = scope["method"], 500
        span = self._open().request(method, Headers(scope=scope))

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        token = context.attach(set_span_in_context(span))
        try:
            await self.app(scope, receive, send_noted)
        finally:
            context.detach(token)
            route = getattr(scope.get("route"), "path", None)
            if route:
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(Status(StatusCode.ERROR))
            span.end()
