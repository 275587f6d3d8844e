"""Every way in which Redis cannot be reached ends within 6 s in a sentence with the place in it."""

import contextlib
import math
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
import redis
from redis.exceptions import TimeoutError as TimedOut

from broker.redis.connection import RedisAddress, connect
from broker.redis.node_connection import _look_up
from broker.redis.redis_store import RedisStore
from broker.redis.wire import Wire, pack
from broker.redis.wire_connection import WireConnection
from jobs.errors import StoreUnavailable
from jobs.model import NewJob
from tests.ports import free_port
from tests.waiting import eventually

PASSWORD = "very-secret-indeed"
LIMIT_S = 6.0
#: What a loaded machine may add to that. A limit that does not hold costs at least as much again.
SLACK_S = 4.0

Verb = Callable[[RedisStore], object]
VERBS: dict[str, Verb] = {
    "ping": lambda store: store.ping(),
    "enqueue": lambda store: store.enqueue([NewJob("one", "q", "actor", b"{}")]),
}


@pytest.fixture
def closed_port() -> int:
    return free_port()


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """Accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def dropping_port() -> Iterator[int]:
    """Its queue of connections is full, so the system drops what arrives, like a firewall."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as stack:
        port = server.getsockname()[1]
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield port


@pytest.fixture(scope="module")
def unanswered() -> Iterator[dict[str, "Future[str]"]]:
    """What an enqueue says that nobody answers. All at once, because each takes five seconds."""
    with silent_port() as silent, dropping_port() as dropping, ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(refused, port, VERBS["enqueue"])
            for name, port in {"silent": silent, "dropping": dropping}.items()
        }


def refused(port: int, verb: Verb) -> str:
    store = RedisStore(lambda: RedisAddress(f"redis://:{PASSWORD}@127.0.0.1:{port}/0"))
    since = time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        verb(store)
    assert time.monotonic() - since < LIMIT_S + SLACK_S
    store.close()
    text = str(caught.value)
    assert f"127.0.0.1:{port}" in text
    assert "REDIS_URL" in text
    assert "\n" not in text
    cause: BaseException | None = caught.value
    while cause is not None:
        assert PASSWORD not in f"{cause} {cause!r}"
        cause = cause.__cause__ or cause.__context__
    return text


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_a_closed_port(closed_port: int, verb: Verb) -> None:
    assert "cannot be reached" in refused(closed_port, verb)


def test_a_server_that_accepts_and_never_answers(unanswered: dict[str, "Future[str]"]) -> None:
    assert "cannot be reached" in unanswered["silent"].result()


def test_a_host_that_drops_packets(unanswered: dict[str, "Future[str]"]) -> None:
    assert "cannot be reached" in unanswered["dropping"].result()


def test_a_name_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def silent(host: str, *_: object, **__: object) -> list[object]:
        released.wait(50)
        raise OSError(host)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    store = RedisStore(lambda: RedisAddress("redis://cache.example"))
    since = time.monotonic()
    with pytest.raises(StoreUnavailable, match=r"cache\.example:6379 cannot.*no name server answered"):
        store.ping()
    assert time.monotonic() - since < LIMIT_S + SLACK_S
    released.set()


def wire_to(port: int, tries_again: int = 0) -> Wire:
    address = RedisAddress(f"redis://127.0.0.1:{port}/0")
    return Wire(connect(address, connection_class=WireConnection), tries_again)


@contextlib.contextmanager
def signals_all_the_time() -> Iterator[None]:
    """The main thread, in which tests run, gets one every 10 ms, as from a profiler or a progress bar."""
    main, over = threading.main_thread().ident, threading.Event()
    assert main == threading.get_ident()

    def send() -> None:
        while not over.wait(0.01):
            signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()
        signal.signal(signal.SIGUSR1, before)


def test_signals_do_not_put_off_the_end_of_a_call() -> None:
    """The kernel counts its time-out anew after each of them."""
    with silent_port() as port, signals_all_the_time():
        started = time.monotonic()
        with pytest.raises(TimedOut):
            wire_to(port).call([pack("PING")])
        assert time.monotonic() - started < LIMIT_S + SLACK_S, "and not for ever"


def test_signals_do_not_put_off_the_end_of_a_large_call() -> None:
    """Nobody reads what is sent, so that the sending waits."""
    with silent_port() as port, signals_all_the_time():
        started = time.monotonic()
        with pytest.raises(TimedOut):
            wire_to(port).call([pack("SET", "key", bytes(64_000_000))])
        assert time.monotonic() - started < LIMIT_S + SLACK_S


def test_signals_do_no_harm_to_a_call_that_takes_its_time(store: RedisStore, client: "redis.Redis") -> None:
    with signals_all_the_time():
        client.client_pause(300)
        assert store.enqueue([NewJob("one", "q", "actor", bytes(5_000_000))])[0].created


@pytest.fixture
def trickling_port() -> Iterator[int]:
    """Answers with a byte every 20 ms, and never comes to an end."""
    over = threading.Event()

    def answer(server: socket.socket) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                caller, _ = server.accept()
                with caller:
                    caller.sendall(b":")
                    while not over.wait(0.02):
                        caller.sendall(b"1")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        yield server.getsockname()[1]
        over.set()
        server.shutdown(socket.SHUT_RDWR)  # it may wait for a caller
        thread.join()


def test_a_reply_that_trickles_in_does_not_put_off_the_end_of_a_call(
    trickling_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.redis.wire.CALL_LIMIT_S", 1.0)
    started = time.monotonic()
    with pytest.raises(TimedOut):
        wire_to(trickling_port, tries_again=2).call([pack("PING")])
    assert time.monotonic() - started < 1.0 + SLACK_S, "and not for ever"


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_a_wrong_password(redis_address: RedisAddress, verb: Verb) -> None:
    port = int(redis_address.place.rpartition(":")[2])
    assert "refuses the user name or password" in refused(port, verb)


def test_no_password_where_one_is_needed(redis_address: RedisAddress) -> None:
    store = RedisStore(lambda: RedisAddress(f"redis://{redis_address.place}/0"))
    with pytest.raises(StoreUnavailable, match="refuses the user name or password; check REDIS_URL"):
        store.ping()


def test_a_lost_connection_is_made_anew_without_a_word(store: RedisStore, client: object) -> None:
    store.ping()
    store.enqueue([NewJob("one", "q", "actor", b"{}")])
    client.client_kill_filter(_type="normal", skipme=True)  # type: ignore[attr-defined]
    assert store.stats(["q"])[0].waiting == 1


def test_the_blocking_connection_is_made_anew_too(store: RedisStore, client: object) -> None:
    assert store.wait_for_work(["q"], 10) is None
    client.client_kill_filter(_type="normal", skipme=True)  # type: ignore[attr-defined]
    with contextlib.suppress(StoreUnavailable):
        store.wait_for_work(["q"], 10)
    assert store.wait_for_work(["q"], 10) is None


def test_after_an_outage_a_call_has_all_its_time_again(closed_port: int) -> None:
    """The last try of a call is short; used so later, its connection would break at a pause of the server."""
    store = RedisStore(lambda: RedisAddress(f"redis://127.0.0.1:{closed_port}/0"))
    with pytest.raises(StoreUnavailable):
        store.enqueue([NewJob("one", "q", "actor", b"{}")])
    (connection,) = store._link._open().wire._idle
    assert connection.until == math.inf
    store.close()


def test_however_often_it_is_tried_a_silent_name_server_has_one_thread_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released = threading.Event()

    def silent(host: str, *_: object, **__: object) -> list[object]:
        released.wait(50)
        raise OSError(host)

    def waiting() -> int:
        return len([thread for thread in threading.enumerate() if thread.name == "callboard-names"])

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    with pytest.raises(TimedOut, match=r"no name server answered for silent\.example"):
        _look_up("silent.example", 6379, time.monotonic())
    before = waiting()
    for _ in range(3):
        with pytest.raises(TimedOut):
            _look_up("silent.example", 6379, time.monotonic())
    assert waiting() == before
    released.set()
    eventually(lambda: not waiting())


FORK = """
import os, sys, threading
from broker.redis.connection import RedisAddress, connect
from broker.redis.redis_store import RedisStore
from broker.redis.wire import Wire, pack
from broker.redis.wire_connection import WireConnection

asked, go_on = threading.Event(), threading.Event()

def find():
    asked.set()
    assert go_on.wait(40)
    return RedisAddress(sys.argv[1])

store = RedisStore(find)
threading.Thread(target=store.ping).start()
assert asked.wait(40)
child = os.fork()
go_on.set()
store.ping()
if child == 0:
    os._exit(7)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_process_that_is_forked_while_a_thread_connects_can_connect(redis_address: RedisAddress) -> None:
    """The thread does not exist in the child, so nobody there would open the lock that it holds."""
    done = subprocess.run([sys.executable, "-c", FORK, redis_address.url], timeout=50, check=False)
    assert done.returncode == 7
