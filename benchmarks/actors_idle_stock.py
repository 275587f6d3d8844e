"""A worker of 40 queues, on stock Dramatiq: that of `actors_stock`, and 39 in which nothing ever happens."""

import dramatiq

from benchmarks import actors_stock

OTHERS = 39


def nothing() -> None:
    """Never sent."""


broker = actors_stock.broker
for number in range(OTHERS):
    dramatiq.actor(queue_name=f"idle-{number:02}", actor_name=f"idle_{number:02}", broker=broker)(nothing)
