"""Actors for jobs of many tenants, with one queue for each scope of priority. Only on our side."""

import time

import dramatiq

from actors.composition import compose
from actors.declare import actor
from benchmarks.stamps import send_stamp
from settings import Settings, load_settings

#: A queue like any, and one in which tenants take turns before priorities do.
QUEUE, LANES_FIRST = "bench-tenants", "bench-lanes-first"
JOB_S = 0.005


def _settings() -> Settings:
    settings = load_settings()
    lanes_first = settings.queue_defaults.model_copy(update={"priority_scope": "lane"})
    return settings.model_copy(update={"queues": {**settings.queues, LANES_FIRST: lanes_first}})


app = compose(_settings())
dramatiq.set_broker(app.broker)


def _toil(number: int, text: str) -> None:
    """The flood."""
    time.sleep(JOB_S)


def _knock(number: int, text: str) -> None:
    """The probe."""
    send_stamp(number)
    time.sleep(JOB_S)


toil = actor(queue=QUEUE, actor_name="toil")(_toil)
knock = actor(queue=QUEUE, actor_name="knock")(_knock)
toil_lanes_first = actor(queue=LANES_FIRST, actor_name="toil_lanes_first")(_toil)
knock_lanes_first = actor(queue=LANES_FIRST, actor_name="knock_lanes_first")(_knock)
