"""A TCP proxy between a client and a server, to cut and bend what passes. Real sockets, one thread."""

import queue
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum


class Mode(Enum):
    FORWARD = "forward"
    BLACKHOLE = "blackhole"  # nothing passes, nothing is closed: dropped packets. What was sent comes later.
    REFUSE = "refuse"  # the port is closed and every connection cut: the server is gone
    DROP_REPLIES = (
        "drop_replies"  # requests arrive and are carried out; their connection dies before the reply
    )


class TcpProxy:
    """Listens on `port` of 127.0.0.1, passes on to `target`. Change `mode` at any time, from any thread."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._mode = Mode.FORWARD
        self._orders: queue.SimpleQueue[tuple[Mode | None, threading.Event]] = queue.SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._bell, self._ringer = socket.socketpair()
        self._pairs: dict[socket.socket, socket.socket] = {}  # both ways
        self._from_client: dict[socket.socket, bool] = {}
        self._unsent: dict[socket.socket, bytes] = {}
        self._bait: tuple[bytes, threading.Event] | None = None
        self._doomed: dict[socket.socket, threading.Event] = {}  # connections whose next reply is lost
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        """In force when this returns."""
        self._order(mode)

    def lose_reply_to(self, words: bytes) -> threading.Event:
        """The next request with these words is carried out, and its connection dies before the reply. Returns
        what is set then. For one request; the mode stays."""
        lost = threading.Event()
        self._bait = (words, lost)
        return lost

    def cut(self) -> None:
        """Close all connections; new ones are taken as before."""
        before, self.mode = self.mode, Mode.REFUSE
        self.mode = before

    def close(self) -> None:
        self._order(None)
        self._thread.join(5)
        for sock in (self._listener, self._bell, self._ringer):
            sock.close()

    def _order(self, mode: Mode | None) -> None:
        done = threading.Event()
        self._orders.put((mode, done))
        self._ringer.send(b".")
        assert done.wait(5)

    def _run(self) -> None:
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._listen()
        while self._obey():
            for key, events in self._selector.select():
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if sock is self._bell:
                    self._bell.recv(100)
                elif sock is self._listener:
                    self._take()
                else:
                    if events & selectors.EVENT_WRITE and sock in self._pairs:
                        self._write(sock)
                    if events & selectors.EVENT_READ and sock in self._pairs:
                        self._pass_on(sock)
        self._drop_all()
        self._selector.close()

    def _obey(self) -> bool:
        """Carry out what was ordered; False for the end."""
        while not self._orders.empty():
            mode, done = self._orders.get()
            if mode not in (None, self._mode):
                self._change(mode)
            done.set()
            if mode is None:
                return False
        return True

    def _change(self, mode: Mode) -> None:
        before, self._mode = self._mode, mode
        if before is Mode.REFUSE:
            self._listener = socket.create_server(("127.0.0.1", self.port))
        if before in (Mode.REFUSE, Mode.BLACKHOLE):
            self._listen()
        if mode in (Mode.REFUSE, Mode.BLACKHOLE):
            self._selector.unregister(self._listener)
        if mode is Mode.REFUSE:
            self._listener.close()
            self._drop_all()
        for sock in self._pairs:
            self._watch(sock)

    def _listen(self) -> None:
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def _take(self) -> None:
        try:
            client, _ = self._listener.accept()
        except BlockingIOError:
            return
        server = socket.socket()
        try:
            server.connect(self._target)
        except OSError:
            client.close()
            server.close()
            return
        self._pairs |= {client: server, server: client}
        self._from_client |= {client: True, server: False}
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            self._unsent[sock] = b""
            self._selector.register(sock, selectors.EVENT_READ)

    def _pass_on(self, sock: socket.socket) -> None:
        try:
            got = sock.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            got = b""
        if not got or (self._mode is Mode.DROP_REPLIES and not self._from_client[sock]):
            self._drop(sock)
            return
        if sock in self._doomed:
            self._doomed[sock].set()
            self._drop(sock)
            return
        if self._bait is not None and self._bait[0] in got and self._from_client[sock]:
            self._doomed[self._pairs[sock]], self._bait = self._bait[1], None
        self._unsent[self._pairs[sock]] += got
        self._write(self._pairs[sock])

    def _write(self, sock: socket.socket) -> None:
        try:
            sent = sock.send(self._unsent[sock]) if self._unsent[sock] else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(sock)
            return
        self._unsent[sock] = self._unsent[sock][sent:]
        self._watch(sock)

    def _watch(self, sock: socket.socket) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent[sock] else 0)
        registered = sock in self._selector.get_map()
        if self._mode is Mode.BLACKHOLE:
            if registered:
                self._selector.unregister(sock)
        elif registered:
            self._selector.modify(sock, events)
        else:
            self._selector.register(sock, events)

    def _drop_all(self) -> None:
        while self._pairs:
            self._drop(next(iter(self._pairs)))

    def _drop(self, sock: socket.socket) -> None:
        for one in (sock, self._pairs[sock]):
            if one in self._selector.get_map():
                self._selector.unregister(one)
            one.close()
            self._doomed.pop(one, None)
            for kept in (self._pairs, self._from_client, self._unsent):
                kept.pop(one)


@contextmanager
def proxy_to(port: int, host: str = "127.0.0.1") -> Iterator[TcpProxy]:
    """A proxy to a server on this machine, closed at the end."""
    proxy = TcpProxy((host, port))
    try:
        yield proxy
    finally:
        proxy.close()
