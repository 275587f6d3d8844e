"""The same actors on stock Dramatiq: what `dramatiq benchmarks.actors_stock` loads. Everything is default."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.stamps import hold_on, send_stamp

QUEUE = "bench"
#: The environment variable with the URL of stock's own database on the server.
STOCK_URL = "BENCH_STOCK_URL"

broker = RedisBroker(url=os.environ[STOCK_URL])  # type: ignore[no-untyped-call]
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=QUEUE)
def noop(number: int, text: str) -> None:
    """Nothing, so that only the engine is measured."""


@dramatiq.actor(queue_name=QUEUE)
def stamp(number: int, text: str) -> None:
    """Tell the measuring process that job `number` has started."""
    send_stamp(number)


@dramatiq.actor(queue_name=QUEUE)
def hold(number: int, text: str) -> None:
    """The same, and run on until the measurement is over."""
    hold_on(number)
