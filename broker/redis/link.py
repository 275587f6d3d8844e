"""The connections of one store to its Redis, opened at the first call and looked up again after trouble."""

import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import redis

from broker.redis.connection import TRIES_AGAIN, RedisAddress, connect, in_our_words
from broker.redis.keys import Keys
from broker.redis.scripts import Call, Scripts
from broker.redis.wire import Wire
from broker.redis.wire_connection import WireConnection
from jobs.errors import CallboardError, StoreUnavailable

#: No blocking call lasts longer, in milliseconds.
BLOCK_LONGEST_MS = 4_000


class Opened(NamedTuple):
    """The connections to one address."""

    address: RedisAddress
    client: redis.Redis
    blocking: redis.Redis
    wire: Wire
    scripts: Scripts


class Link:
    """`find` says where the server is; it is asked at the first call, and again after the server was away.

    Safe to use from many threads. After a fork the connections of the parent are left alone.
    """

    def __init__(self, find: Callable[[], RedisAddress], keys: Keys) -> None:
        self.keys = keys
        self._find = find
        self._opened: Opened | None = None
        self._in_doubt = False
        self._opening = threading.Lock()
        _links.add(self)

    @property
    def address(self) -> RedisAddress:
        return self._open().address

    def run(self, verb: str, argv: Sequence[Any] = (), more_keys: Sequence[str] = ()) -> Any:
        """Run one script."""
        return self.run_all(((verb, argv, more_keys),))[0]

    def run_all(self, calls: Iterable[Call]) -> list[Any]:
        """Run scripts in order, in one round trip; `calls` as `Scripts.run_all` takes them."""
        opened = self._open()
        try:
            return opened.scripts.run_all(calls)
        except (redis.RedisError, OSError) as error:
            raise self._doubt(in_our_words(error, opened.address)) from error
        except Exception as error:
            self._if_closed(opened, error)
            raise

    @contextmanager
    def talking(self) -> Iterator[Opened]:
        """The connections, and errors in our words. After one the address is looked up again."""
        opened = self._open()
        try:
            yield opened
        except (redis.RedisError, OSError) as error:
            raise self._doubt(in_our_words(error, opened.address)) from error
        except Exception as error:
            self._if_closed(opened, error)
            raise

    def _if_closed(self, opened: Opened, error: Exception) -> None:
        """A connection that another thread closes, because the server moved, say, fails its user in ways of
        its own: a TypeError, for one. Raises what that means."""
        if self._opened is not opened and not isinstance(error, CallboardError):
            raise StoreUnavailable(
                f"The connection to Redis at {opened.address.place} was closed while it was in use; "
                "the next call opens another."
            ) from error

    def _doubt(self, error: CallboardError) -> CallboardError:
        self._in_doubt = self._in_doubt or isinstance(error, StoreUnavailable)
        return error

    def close(self) -> None:
        if self._opened:
            opened, self._opened = self._opened, None
            opened.wire.close()
            opened.client.close()
            opened.blocking.close()

    def _open(self) -> Opened:
        opened = self._opened
        if opened is not None and not self._in_doubt:
            return opened
        # Two threads that came first at once would each make connections, and one of them lose its own.
        with self._opening:
            return self._opened_now()

    def _opened_now(self) -> Opened:
        if self._in_doubt and self._opened is not None:
            if self._find() != self._opened.address:
                self.close()
            self._in_doubt = False
        if self._opened is None:
            address = self._find()
            client = connect(address)
            # Blocking calls need a longer time-out than they block, and no repeats of their own.
            blocking = connect(address, socket_timeout=BLOCK_LONGEST_MS / 1000 + 2, tries_again=0)
            # Connecting is not tried again inside of a call that is: nine time-outs would be 15 s.
            wire = Wire(connect(address, tries_again=0, connection_class=WireConnection), TRIES_AGAIN)
            self._opened = Opened(address, client, blocking, wire, Scripts(wire, self.keys))
        return self._opened


_links: "weakref.WeakSet[Link]" = weakref.WeakSet()


def _unlock_in_the_child() -> None:
    # A thread that was opening one when the process forked does not exist in the child, and its lock would
    # stay shut for ever.
    for link in _links:
        link._opening = threading.Lock()


os.register_at_fork(after_in_child=_unlock_in_the_child)
