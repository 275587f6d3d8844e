"""Checks of what tells of the platform: Sentry, traces, metrics."""

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from control.service.checks.finding import Finding, note, ok

if TYPE_CHECKING:
    from settings import Settings

ANSWER_S = 1.0


def telemetry(settings: "Settings") -> Iterator[Finding]:
    """Each as it is configured, and whether what it needs is there."""
    yield _sentry(settings)
    yield _traces(settings)
    yield _metrics(settings)


def _sentry(settings: "Settings") -> Finding:
    if settings.sentry.dsn is None:
        return note("alerts", "off; SENTRY_DSN has failures for good reported to Sentry")
    from sentry_sdk.utils import Dsn

    place = Dsn(settings.sentry.dsn.get_secret_value())  # the settings have looked at it
    return _answers(
        "alerts",
        place.host,
        place.port,
        f"to Sentry at {place.host}, environment {settings.sentry.environment or settings.env}",
        "Sentry",
    )


def _traces(settings: "Settings") -> Finding:
    endpoint = settings.telemetry.otlp_endpoint
    if endpoint is None:
        return note("traces", "off; OTEL_EXPORTER_OTLP_ENDPOINT switches them on")
    parts = urlsplit(endpoint)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return _answers("traces", parts.hostname or "", port, f"to {endpoint}", "the collector")


def _metrics(settings: "Settings") -> Finding:
    its = settings.telemetry
    api = {"key": "with the key", "open": "to anybody", "off": "not at all"}[its.metrics_api]
    if not its.counts:
        return note("metrics", f"the API serves /metrics {api}; telemetry.metrics_port adds those of workers")
    text = f"workers serve /metrics from {its.metrics_host}:{its.metrics_port} on, the API {api}"
    return ok("metrics", text)


def _answers(subject: str, host: str, port: int, text: str, whose: str) -> Finding:
    try:
        socket.create_connection((host, port), ANSWER_S).close()
    except OSError:
        # Jobs run all the same, so it is nothing that has to be mended first.
        return note(subject, f"{text}; {whose} does not answer now at {host}:{port}")
    return ok(subject, text)
