"""A tenant's URL must not make us call our own network."""

import re
import socket

import pytest

from integrations.addresses import AddressRefused, allowed_addresses, is_public
from integrations.errors import PermanentFailure, TransientFailure
from tests.integrations.test_webhook_delivery import send

REFUSED = """
127.0.0.1 127.8.8.8 0.0.0.0 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 100.100.100.200
192.0.0.192 168.63.129.16 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255 192.0.2.1
::1 :: fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 fec0::1 ff02::1 2001:db8::1
::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:a00:1 ::127.0.0.1
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::a00:1 2002:7f00:1:: 2002:a9fe:a9fe::1
"""


@pytest.mark.parametrize("address", REFUSED.split())
def test_an_address_of_a_network_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:7f00:1]"],
)
def test_no_way_of_writing_loopback_gets_through(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        with pytest.raises((PermanentFailure, TransientFailure)) as refused:
            send(f"http://{host}:{listener.getsockname()[1]}/", allow_private=False)
        # A form that is no address to this resolver is no name either, or no URL at all.
        assert re.search("private or reserved|cannot be resolved|cannot be read", str(refused.value))
        with pytest.raises(BlockingIOError):
            listener.accept()  # nobody even connected


def test_one_forbidden_address_refuses_the_whole_name(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: answers)

    with pytest.raises(AddressRefused, match=r"'mixed\.example' is at 10\.0\.0\.1"):
        allowed_addresses("mixed.example", 80)
    assert allowed_addresses("mixed.example", 80, allow_private=True) == ["8.8.8.8", "10.0.0.1"]


def test_a_name_that_changes_after_the_check_does_not_change_the_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: the second answer of the name server is never asked for."""
    real, asked = socket.getaddrinfo, []

    def rebinding(host: str, *args: object, **options: object) -> object:
        if host != "rebind.example":
            return real(host, *args, **options)
        asked.append(host)
        # First an address that nobody listens on, then loopback.
        address = "127.0.0.2" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        with pytest.raises(TransientFailure, match="cannot be reached"):
            send(f"http://rebind.example:{listener.getsockname()[1]}/")
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert asked == ["rebind.example"]
