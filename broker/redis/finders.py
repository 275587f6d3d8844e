"""Find the node of a shard: the one there is, the master by the sentinels, the cluster's node of its slot."""

import math
import time
from functools import lru_cache
from typing import Any

from redis.crc import key_slot
from redis.exceptions import (
    AuthenticationError,
    RedisError,
)

from broker.redis.node_connection import Elsewhere, ask
from broker.redis.places import Node, Places, RedisAddress, read_places

#: How long one node is waited for, and all that are asked together, in seconds.
ASK_S, FIND_S, SHORTEST_S = 0.4, 1.2, 0.05
#: Many connections of a process ask at once; they need one answer, in seconds.
BELIEVED_S = 0.1


class RefusedBySentinel(AuthenticationError):
    """A sentinel wants another user name or password than the URL has."""

    def __init__(self, place: str) -> None:
        super().__init__(f"the sentinel at {place} refuses the user name or password")
        self.place = place


class Finder:
    """Calling it gives the node of one shard, before `until` (monotonic) and within FIND_S.

    `patient`: another node may take over in a few seconds.
    """

    patient = False

    def __init__(self, places: Places) -> None:
        self._places = places

    def __call__(self, until: float = math.inf) -> Node:
        return self._places.nodes[0]

    def all_nodes(self) -> list[Node]:
        """Every node that jobs may be on."""
        return [self()]


class MasterFinder(Finder):
    """Asks the sentinels in turn, the one that answered last first."""

    patient = True

    def __init__(self, places: Places) -> None:
        super().__init__(places)
        self._sentinels = places.nodes
        self._told: tuple[float, Node] | None = None

    def __call__(self, until: float = math.inf) -> Node:
        told = self._told
        if told is None or told[0] < time.monotonic():
            told = self._told = time.monotonic() + BELIEVED_S, self._ask(until)
        return told[1]

    def _ask(self, until: float) -> Node:
        end, reasons = min(time.monotonic() + FIND_S, until), []
        for sentinel in self._sentinels:
            left = end - time.monotonic()
            if left < SHORTEST_S:
                break
            try:
                found = ask(
                    sentinel, ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._places.master), min(ASK_S, left)
                )
            except AuthenticationError as error:
                raise RefusedBySentinel(sentinel.place) from error
            except (RedisError, OSError) as error:
                reasons.append(f"{sentinel.place}: {error}")
                self._ask_last(sentinel)
                continue
            if found is None:
                reasons.append(f"{sentinel.place} knows no master named {self._places.master}")
                continue
            self._ask_first(sentinel)
            places = self._places
            return Node(
                found[0].decode(),
                int(found[1]),
                "",
                places.login,
                places.db,
                sentinel.tls,
                must_be_master=True,
            )
        raise Elsewhere(f"no sentinel tells the master: {'; '.join(reasons) or 'none answers in time'}")

    def _ask_first(self, sentinel: Node) -> None:
        if self._sentinels[0] != sentinel:
            self._sentinels = (sentinel, *(other for other in self._sentinels if other != sentinel))

    def _ask_last(self, sentinel: Node) -> None:
        self._sentinels = (*(other for other in self._sentinels if other != sentinel), sentinel)


class SlotFinder(Finder):
    """Asks a node of the cluster who serves the slot of a shard; learns the other nodes by the way."""

    patient = True

    def __init__(self, places: Places, shard: str) -> None:
        super().__init__(places)
        self._slot = key_slot(b"{%s}" % shard.encode())
        self._nodes = places.nodes

    def __call__(self, until: float = math.inf) -> Node:
        for first, last, master in self._slots(until):
            if first <= self._slot <= last:
                return master
        raise Elsewhere(f"nobody serves slot {self._slot} of the cluster")

    def all_nodes(self) -> list[Node]:
        return list(dict.fromkeys(master for _, _, master in self._slots()))

    def _slots(self, until: float = math.inf) -> list[tuple[int, int, Node]]:
        """First and last slot of each range, and the master that serves it."""
        end, reasons = min(time.monotonic() + FIND_S, until), []
        for node in self._nodes:
            left = end - time.monotonic()
            if left < SHORTEST_S:
                break
            try:
                answer = ask(node, ("CLUSTER", "SLOTS"), min(ASK_S, left))
            except AuthenticationError:
                raise
            except (RedisError, OSError) as error:
                reasons.append(f"{node.place}: {error}")
                self._nodes = (*(other for other in self._nodes if other != node), node)
                continue
            ranges = [
                (first, last, [_member(member, node) for member in members])
                for first, last, *members in answer
            ]
            known = [member for _, _, members in ranges for member in members]
            # Another one next time, because a node that is cut off from the others goes on telling what was.
            # The given ones stay: they may be names that lead to the cluster when all nodes have changed.
            others = [other for other in dict.fromkeys([*known, *self._places.nodes]) if other != node]
            self._nodes = (*others, node)
            return [(first, last, members[0]) for first, last, members in ranges]
        raise Elsewhere(f"no node of the cluster answers: {'; '.join(reasons)}")


def _member(told: list[Any], asked: Node) -> Node:
    # A node that does not know its own name is reached by the one that was asked.
    return asked._replace(host=told[0].decode() if told[0] else asked.host, port=int(told[1]))


@lru_cache(maxsize=64)
def finder_of(address: RedisAddress) -> Finder:
    """What finds the node of this address. No I/O. Raises StoreUnavailable for a URL that is none."""
    places = read_places(address.url)
    if places.kind == "sentinel":
        return MasterFinder(places)
    if places.kind == "cluster":
        return SlotFinder(places, address.shard)
    return Finder(places)
