"""Delivering webhooks: signed by Standard Webhooks, classified for the queue, guarded against SSRF."""

import re
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from integrations.addresses import allowed_addresses
from integrations.errors import IntegrationError, PermanentFailure, TransientFailure
from integrations.mail import clean

if TYPE_CHECKING:
    import httpx2

MAX_RETRY_AFTER_SECONDS = 3_600.0
_BODY_BYTES = 4_096  # of an answer that nobody but an operator reads
_EXCERPT_CHARS = 500
_PASSING = frozenset({408, 429})
_MESSAGE_ID = re.compile(r"[!-~]{1,256}", re.ASCII)


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """Where to deliver. `secret` is `whsec_…` (base64); `allow_private` opens private networks to it."""

    id: str
    url: str = field(repr=False)  # it may carry a token
    secret: str = field(repr=False)
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """What an endpoint answered, in how many milliseconds; the beginning of its body as one line of text."""

    status_code: int
    duration_ms: float
    body_excerpt: str


class WebhookRefused(PermanentFailure):
    """The endpoint answered that it will not take this message."""

    def __init__(self, message: str, delivery: Delivery) -> None:
        super().__init__(message)
        self.delivery = delivery


class EndpointGone(WebhookRefused):
    """The endpoint answered 410: it is to be disabled (Standard Webhooks, "Operational considerations")."""


class WebhookDeferred(TransientFailure):
    """The endpoint answered that it cannot take the message now."""

    def __init__(self, message: str, delivery: Delivery, retry_after: float | None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.delivery = delivery


def deliver(
    endpoint: WebhookEndpoint,
    message_id: str,
    payload: bytes,
    timestamp: datetime,
    timeout_seconds: float,
    *,
    tls: ssl.SSLContext | None = None,
) -> Delivery:
    """POST `payload` (UTF-8 JSON) to `endpoint` once and return its 2xx answer.

    `message_id` stays the same over retries, `timestamp` (aware) is of this attempt, `timeout_seconds`
    covers everything from the name's resolution on. `tls` replaces the system's trusted authorities.

    Raises EndpointGone (410), WebhookRefused (other 3xx and 4xx), WebhookDeferred (408, 429, 5xx; with
    the endpoint's Retry-After, at most an hour), AddressRefused (a private or reserved network),
    TransientFailure (network), PermanentFailure (an unusable URL, secret, id or payload).
    """
    import httpx2

    from integrations.pinned_http import PinnedTransport

    request = _request(endpoint, message_id, payload, timestamp)
    started = time.monotonic()

    def resolve(host: str, port: int) -> list[str]:
        return allowed_addresses(host, port, allow_private=endpoint.allow_private)

    # The transport is used without httpx2's client, which would log the URL and follow the environment's
    # proxies past the address check.
    with PinnedTransport(resolve, started + timeout_seconds, tls=tls) as transport:
        try:
            response = transport.handle_request(request)
            body = _beginning(response)
        except Exception as error:
            raise _network_failure(error, request.url, timeout_seconds) from error
    spent = (time.monotonic() - started) * 1000
    delivery = Delivery(response.status_code, spent, clean(body.decode("utf-8", "replace"), _EXCERPT_CHARS))
    _judge(request.url.host, delivery, httpx2.Headers(response.headers))
    return delivery


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """A Retry-After header (seconds or an HTTP date, RFC 9110 section 10.2.3) as seconds from `now`.

    None if there is none or it cannot be read; never negative, never over an hour.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]+", text):
        wait = float(text[:12])
    else:
        try:
            when = parsedate_to_datetime(text)
        except (ValueError, IndexError, OverflowError):
            return None
        wait = ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(wait, 0.0), MAX_RETRY_AFTER_SECONDS)


def _request(
    endpoint: WebhookEndpoint, message_id: str, payload: bytes, timestamp: datetime
) -> "httpx2.Request":
    import httpx2

    signature = _signature(endpoint, message_id, payload, timestamp)
    try:
        url = httpx2.URL(endpoint.url)
    except (httpx2.InvalidURL, TypeError):
        raise PermanentFailure("The URL of this webhook endpoint cannot be read.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise PermanentFailure("The URL of this webhook endpoint must be http:// or https://.")
    headers = {
        "content-type": "application/json",
        "user-agent": "callboard-webhooks/1",
        # Compressed, four kilobytes could become gigabytes.
        "accept-encoding": "identity",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(timestamp.timestamp())),
        "webhook-signature": signature,
    }
    return httpx2.Request("POST", url, headers=headers, content=payload)


def _signature(endpoint: WebhookEndpoint, message_id: str, payload: bytes, timestamp: datetime) -> str:
    from standardwebhooks import Webhook

    if not _MESSAGE_ID.fullmatch(message_id):
        raise PermanentFailure("A webhook's message id must be 1 to 256 visible ASCII characters.")
    if timestamp.tzinfo is None:
        raise PermanentFailure("A webhook's timestamp must carry its time zone.")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        raise PermanentFailure("A webhook's payload must be UTF-8.") from None
    try:
        signer = Webhook(endpoint.secret)
    except Exception:  # noqa: BLE001 - the library raises several kinds; its text could show the secret
        raise PermanentFailure(
            "The secret of this webhook endpoint is not base64 after whsec_; make a new one."
        ) from None
    # The library takes the clock's digits as UTC whatever the zone says.
    return signer.sign(message_id, timestamp.astimezone(UTC), text)


def _beginning(response: "httpx2.Response") -> bytes:
    """As much of the body as is kept; the rest is not read."""
    found = b""
    try:
        for chunk in response.iter_raw():
            found += chunk
            if len(found) >= _BODY_BYTES:
                break
    finally:
        response.close()
    return found[:_BODY_BYTES]


def _judge(host: str, delivery: Delivery, headers: "httpx2.Headers") -> None:
    status = delivery.status_code
    if 200 <= status < 300:
        return
    said = f"The webhook endpoint at {host} answered {status}"
    if status == 410:
        raise EndpointGone(f"{said} (gone): disable it.", delivery)
    if status in _PASSING or status >= 500:
        wait = retry_after_seconds(headers.get("retry-after"), datetime.now(UTC))
        raise WebhookDeferred(f"{said}: it cannot take the message now.", delivery, wait)
    if 300 <= status < 400:
        raise WebhookRefused(f"{said}, a redirect, and none is followed: register the final URL.", delivery)
    raise WebhookRefused(f"{said}: it refuses the message.", delivery)


def _network_failure(error: Exception, url: "httpx2.URL", timeout_seconds: float) -> Exception:
    import httpcore2

    where = f"The webhook endpoint at {url.host}"
    if isinstance(error, IntegrationError):
        return error
    if isinstance(error, httpcore2.TimeoutException):
        return TransientFailure(f"{where} did not answer within {timeout_seconds:g} s.")
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in error.args):
        return TransientFailure(f"{where} shows a certificate that is not trusted.")
    if isinstance(error, httpcore2.NetworkError):
        return TransientFailure(f"{where} cannot be reached.")
    if isinstance(error, httpcore2.ProtocolError):
        return TransientFailure(f"{where} broke the HTTP protocol.")
    return error
