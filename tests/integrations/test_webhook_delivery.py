"""Webhooks: signed, delivered to the address that was checked, and judged for the queue."""

import json
import logging
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from standardwebhooks import Webhook

from control.demo.peers.webhook_receiver import Receiver
from integrations.errors import PermanentFailure, TransientFailure
from integrations.webhooks import (
    Delivery,
    EndpointGone,
    WebhookDeferred,
    WebhookEndpoint,
    WebhookRefused,
    deliver,
    retry_after_seconds,
)
from tests.integrations.peers import CERTIFICATE, running, scripted
from tests.ports import free_port

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cw=="
PAYLOAD = '{"type":"invoice.paid","data":{"id":7,"name":"Größe"}}'.encode()


def send(url: str, message_id: str = "msg_1", **options: Any) -> Delivery:
    endpoint = WebhookEndpoint("ep_1", url, options.pop("secret", SECRET), options.pop("allow_private", True))
    values = {"payload": PAYLOAD, "timestamp": datetime.now(UTC), "timeout_seconds": 30.0} | options
    return deliver(endpoint, message_id, **values)


@contextmanager
def serving(receiver: Receiver, scheme: str = "http", host: str = "127.0.0.1") -> Iterator[str]:
    thread = threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{scheme}://{host}:{receiver.server_address[1]}"
    finally:
        receiver.shutdown()
        thread.join(30)
        receiver.server_close()


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, str]]:
    server = Receiver(SECRET, failures=0)
    with serving(server) as url:
        yield server, url


def test_a_delivery_is_signed_so_that_the_receiver_can_verify_it(receiver: tuple[Receiver, str]) -> None:
    server, url = receiver
    delivery = send(url + "/hook?token=x")

    assert (delivery.status_code, delivery.body_excerpt) == (204, "")
    assert 0 < delivery.duration_ms < 30_000
    assert server.ledger == {
        "msg_1": {"attempts": 1, "statuses": [204], "valid": [True], "path": "/hook?token=x"}
    }


def test_the_signature_holds_whatever_zone_the_timestamp_is_in(receiver: tuple[Receiver, str]) -> None:
    server, url = receiver
    send(url, timestamp=datetime.now(timezone(timedelta(hours=9))))
    assert server.ledger["msg_1"]["valid"] == [True]


def test_another_secret_does_not_verify(receiver: tuple[Receiver, str]) -> None:
    server, url = receiver
    with pytest.raises(WebhookRefused) as refused:
        send(url, secret="whsec_" + "b3RoZXI=" * 3)
    assert refused.value.delivery.status_code == 401
    assert server.ledger["msg_1"]["valid"] == [False]


def test_the_demos_receiver_fails_twice_and_then_takes_the_message() -> None:
    with running("control.demo.peers.webhook_receiver", CALLBOARD_DEMO_WEBHOOK_SECRET=SECRET) as ready:
        url = f"http://127.0.0.1:{ready['port']}"
        with pytest.raises(WebhookDeferred) as first:
            send(url + "/hook")
        with pytest.raises(WebhookDeferred) as second:
            send(url + "/hook")
        assert send(url + "/hook").status_code == 204
        with pytest.raises(EndpointGone):
            send(url + "/gone", "msg_2")
        with pytest.raises(WebhookRefused, match="answered 400: it refuses the message"):
            send(url + "/refuse", "msg_3")
        with urllib.request.urlopen(url + "/ledger") as answer:
            ledger = json.load(answer)["deliveries"]

    assert (first.value.retry_after, second.value.retry_after) == (1.0, None)
    assert ledger["msg_1"] == {
        "attempts": 3,
        "statuses": [503, 503, 204],
        "valid": [True, True, True],
        "path": "/hook",
    }
    assert ledger["msg_2"]["statuses"] == [410]


def answer(status: str, *headers: str, body: str = "") -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *headers))
    return f"{head}\r\n\r\n{body}".encode()


@contextmanager
def answering(response: bytes) -> Iterator[str]:
    """A server that reads a request's head and answers with these very bytes; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            connection, _ = listener.accept()
            with connection:
                received = b""
                while not received.endswith(PAYLOAD):
                    received += connection.recv(65_536)
                connection.sendall(response)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        thread.join(30)


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted", "299 Fine"])
def test_any_2xx_is_a_delivery(status: str) -> None:
    with answering(answer(status, body="thanks\n\x00 a lot")) as url:
        assert send(url).body_excerpt == "thanks a lot"


@pytest.mark.parametrize("status", ["408 Timeout", "429 Slow", "500 Oops", "502 Bad", "503 Busy", "599 Odd"])
def test_what_may_pass_is_transient_with_the_wait_that_was_asked_for(status: str) -> None:
    response = answer(status, "Retry-After: 42", body="later")
    with answering(response) as url, pytest.raises(WebhookDeferred) as deferred:
        send(url)
    assert deferred.value.retry_after == 42.0
    assert deferred.value.delivery.body_excerpt == "later"
    assert str(deferred.value.delivery.status_code) == status[:3]


@pytest.mark.parametrize("status", ["400 Bad", "401 Who", "403 No", "404 Where", "413 Large", "422 What"])
def test_other_4xx_are_permanent(status: str) -> None:
    with answering(answer(status)) as url, pytest.raises(WebhookRefused) as refused:
        send(url)
    assert not isinstance(refused.value, EndpointGone)


def test_410_says_that_the_endpoint_is_to_be_disabled() -> None:
    with answering(answer("410 Gone")) as url, pytest.raises(EndpointGone, match="answered 410"):
        send(url)


def test_a_redirect_is_not_followed() -> None:
    response = answer("302 Found", "Location: http://169.254.169.254/")
    with answering(response) as url, pytest.raises(WebhookRefused, match="a redirect, and none is followed"):
        send(url)


def test_a_large_answer_is_read_in_its_beginning_only() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"
    with answering(head + b"x" * 5_000) as url:
        assert send(url).body_excerpt == "x" * 500


def test_a_server_that_answers_drop_by_drop_is_left_at_the_deadline() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    left = threading.Event()

    def drip() -> None:
        with listener:
            connection, _ = listener.accept()
            with connection:
                # Each drop comes well within the limit of one read; only the whole is too slow.
                while not left.wait(0.02):
                    try:
                        connection.sendall(b"H")
                    except ConnectionError:
                        return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(TransientFailure, match=r"did not answer within 0\.3 s|broke the HTTP protocol"):
            send(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_seconds=0.3)
    finally:
        left.set()
        thread.join(30)


def test_the_network_is_transient() -> None:
    with pytest.raises(TransientFailure, match="cannot be reached"):
        send(f"http://127.0.0.1:{free_port()}/")
    with (
        scripted(b"SSH-2.0-OpenSSH_9.9") as port,
        pytest.raises(TransientFailure, match="broke the HTTP protocol"),
    ):
        send(f"http://127.0.0.1:{port}/")


def test_https_goes_to_the_checked_address_under_the_name_of_the_url() -> None:
    server = Receiver(SECRET, failures=0)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    names: list[str | None] = []
    context.sni_callback = lambda _sock, name, _context: names.append(name)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    trust = ssl.create_default_context(cafile=CERTIFICATE)

    with serving(server, "https", "localhost") as url:
        assert send(url, tls=trust).status_code == 204
        assert names == ["localhost"]
        with pytest.raises(TransientFailure, match="certificate that is not trusted"):
            send(url)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"url": "ftp://example.com/"}, "must be http:// or https://"),
        ({"url": "file:///etc/passwd"}, "must be http:// or https://"),
        ({"url": "http://"}, "must be http:// or https://"),
        ({"url": "http://[::1"}, "cannot be read"),
        ({"url": "https://x.example", "secret": "whsec_"}, "is not base64"),
        ({"url": "https://x.example", "secret": "whsec_ä"}, "is not base64"),
        ({"url": "https://x.example", "message_id": "a\r\nb"}, "visible ASCII"),
        ({"url": "https://x.example", "timestamp": datetime(2026, 1, 1)}, "time zone"),
        ({"url": "https://x.example", "payload": b"\xff"}, "must be UTF-8"),
    ],
)
def test_what_can_never_be_delivered_is_permanent(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PermanentFailure, match=sentence):
        send(**options)


def test_neither_secret_nor_url_is_shown_or_logged(
    receiver: tuple[Receiver, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    send(receiver[1] + "/hook?token=hush")
    shown = repr(WebhookEndpoint("ep_1", "https://x.example/?token=hush", SECRET))
    assert "hush" not in caplog.text + shown
    assert SECRET[6:] not in caplog.text + shown


NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 400, 3_600.0),
        ("Sun, 22 Nov 2026 12:01:30 GMT", 90.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 12:00:00 GMT", 3_600.0),
        ("Sun, 22 Nov 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(
    value: str | None, seconds: float | None
) -> None:
    assert retry_after_seconds(value, NOW) == seconds


def test_the_receiver_of_the_tests_verifies_by_the_standards_own_library() -> None:
    signature = Webhook(SECRET).sign("msg_1", NOW, PAYLOAD.decode())
    assert signature.startswith("v1,")
