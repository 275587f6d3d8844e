"""One connection to the node that a shard is on. Where that is, it asks each time it connects.

After a failover, or when a shard has moved, the server says so or is gone: either counts as a lost
connection, and whoever repeats a lost call (redis-py, our wire) reaches the right node by that alone.
"""

import ipaddress
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,  # noqa: A004  Redis's own
    MovedError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import TimeoutError as TimedOut
from redis.retry import Retry

from broker.redis.places import Node, Tls

#: Finding the node, connecting to it and being let in, together. Three tries are over within 6 s.
CONNECT_TIMEOUT_S = SOCKET_TIMEOUT_S = 1.7
#: A dead peer is noticed after 5 s of silence and three more, also by who only listens.
KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3}

_NOT_HERE = (AskError, ClusterDownError, ReadOnlyError, TryAgainError)
#: The same in other words: from inside a script (6.2), to a client that waits when its master steps down,
#: and from a master whose replicas have left it for another one.
_NOT_HERE_WORDS = ("-READONLY ", "UNBLOCKED force unblock", "NOREPLICAS ")
#: A master that was replaced takes writes for some seconds more, which are lost; so the sentinels are asked
#: again so often, in seconds, and less often when none answers.
LOOK_AGAIN_S, LOOK_AGAIN_LATER_S = 1.0, 10.0


class Elsewhere(ConnectionError):
    """This node cannot serve the shard now, but it or another will."""


class NodeConnection(Connection):
    """`find` gives the node before the time (monotonic) it is given; `until` is when all must be over."""

    def __init__(self, find: Callable[[float], Node], **options: Any) -> None:
        self.until = math.inf
        self._look_again = math.inf
        self._find = find
        self._node: Node | None = None
        self._moved_to: tuple[str, int] | None = None
        super().__init__(**options)  # type: ignore[no-untyped-call]

    def connect(self) -> None:
        self.connect_check_health()

    def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
        # Never tried again in here: the calls are, and tries inside of tries would take 15 s.
        if self._sock is None:
            super().connect_check_health(check_health=check_health, retry_socket_connect=False)
            self.relax(self.until)

    def relax(self, until: float = math.inf) -> None:
        """Set when the calls to come must be over."""
        self.until = until
        if self._sock is not None and self.socket_timeout is not None:
            self._sock.settimeout(max(0.1, min(self.socket_timeout, until - time.monotonic())))

    def on_connect_check_health(self, check_health: bool = True) -> None:
        super().on_connect_check_health(check_health=check_health)
        if self._node is not None and self._node.must_be_master:
            self.send_command("ROLE", check_health=False)  # type: ignore[no-untyped-call]
            if self.read_response()[0] != b"master":
                raise Elsewhere(f"{self._node.place} is a replica now")

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if self._sock is not None and self._look_again < time.monotonic():
            self._leave_a_replaced_master()
        super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)
        except ResponseError as error:
            self._check_place(error)
            raise

    def _check_place(self, error: ResponseError) -> None:
        """Raise Elsewhere, and close, where an error reply says that another node serves this shard."""
        if isinstance(error, MovedError):
            self._moved_to = (error.host or self.host, error.port)
        elif not isinstance(error, _NOT_HERE) and not any(words in str(error) for words in _NOT_HERE_WORDS):
            return
        self.disconnect()  # type: ignore[no-untyped-call]
        raise Elsewhere(f"{self._host_error()} does not serve this shard now: {error}") from error

    def _leave_a_replaced_master(self) -> None:
        self._look_again = time.monotonic() + LOOK_AGAIN_S
        try:
            node = self._find(self.until)
        except RedisError:
            self._look_again += LOOK_AGAIN_LATER_S  # nobody says that there is another one
            return
        if (node.host, node.port) != (self.host, self.port):
            self.disconnect()  # type: ignore[no-untyped-call]

    def _connect(self) -> socket.socket:
        end = min(time.monotonic() + CONNECT_TIMEOUT_S, self.until)
        node = self._find(end)
        if self._moved_to is not None:
            host, port = self._moved_to
            node, self._moved_to = node._replace(host=host, port=port), None
        self._node, self.db = node, node.db
        self._look_again = time.monotonic() + LOOK_AGAIN_S if node.must_be_master else math.inf
        self._host, self.port = node.host or node.path, node.port
        self.username, self.password = node.login.username or None, node.login.password or None
        sock = _unix_socket(node.path, end) if node.path else _tcp_socket(node, end)
        sock.settimeout(_left(end))  # until the handshake is done
        return sock

    def _host_error(self) -> str:
        return self._node.place if self._node else "Redis"


def ask(node: Node, command: tuple[str | int, ...], timeout: float) -> Any:
    """One command to one node, on a connection of its own. Time-out in seconds. Raises redis-py's errors."""
    connection: Any = NodeConnection(lambda _: node, **connection_options(timeout))
    connection.until = time.monotonic() + timeout
    try:
        connection.send_command(*command)
        return connection.read_response()
    finally:
        connection.disconnect()


def connection_options(socket_timeout: float, retry: Retry | None = None) -> dict[str, Any]:
    """For redis-py. Time-out of one reply in seconds; without `retry` nothing is repeated."""
    return {
        "socket_timeout": socket_timeout,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "retry": retry or Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "protocol": 2,
        "driver_info": None,  # two commands less at each connect, and nothing for an ACL to allow
    }


def _left(end: float) -> float:
    return max(0.05, end - time.monotonic())


def _unix_socket(path: str, end: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(_left(end))
        sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


def _tcp_socket(node: Node, end: float) -> socket.socket:
    found = _look_up(node.host, node.port, end)
    for number, (family, kind, protocol, _, address) in enumerate(found, start=1):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in KEEPALIVE.items():
                if hasattr(socket, name):  # macOS calls the first one otherwise
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
            # The second address must have its turn when the first one is silent.
            sock.settimeout(_left(end) / (len(found) - number + 1))
            sock.connect(address)
            if node.tls is None:
                return sock
            sock.settimeout(_left(end))
            return _context(node.tls).wrap_socket(sock, server_hostname=node.host)
        except OSError:
            sock.close()
            if number == len(found):
                raise
        except BaseException:
            sock.close()
            raise
    raise OSError(f"{node.host} has no address")


def _look_up(host: str, port: int, end: float) -> list[tuple[Any, ...]]:
    """The addresses of a host. In a thread, because a silent name server takes its own time."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    lookup = _lookups.get((host, port))
    if lookup is None or not lookup.is_alive():  # as in a fork, which has none of its parent's threads
        lookup = Lookup(host, port)
        lookup.start()
        _lookups[host, port] = lookup
    lookup.join(_left(end))
    if lookup.answer is None:
        raise TimedOut(f"no name server answered for {host}")
    if isinstance(lookup.answer, OSError):
        raise lookup.answer
    return lookup.answer


class Lookup(threading.Thread):
    """Asks for a host's addresses, for all who want to know them meanwhile: with a name server that is silent
    there is one such thread for a host, however often it is tried."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name="callboard-names", daemon=True)
        self.answer: list[tuple[Any, ...]] | OSError | None = None
        self._place = (host, port)

    def run(self) -> None:
        host, port = self._place
        try:
            self.answer = list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            self.answer = error if isinstance(error, OSError) else OSError(f"{host} is no host name")


#: The last one for each place.
_lookups: dict[tuple[str, int], Lookup] = {}


@lru_cache(maxsize=16)
def _context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.check_hostname = tls.check_host
        context.verify_mode = ssl.CERT_REQUIRED if tls.verify else ssl.CERT_NONE
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:
        files = ", ".join(filter(None, (tls.ca_file, tls.cert_file, tls.key_file)))
        raise ConnectionError(
            f"a certificate file cannot be used ({files}: {error.strerror or error})"
        ) from error
    return context
