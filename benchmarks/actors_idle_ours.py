"""A worker of 40 queues, on our side: that of `actors_ours`, and 39 in which nothing ever happens."""

from actors.declare import actor
from benchmarks import actors_ours

OTHERS = 39


def nothing() -> None:
    """Never sent."""


broker = actors_ours.app.broker
for number in range(OTHERS):
    actor(queue=f"idle-{number:02}", actor_name=f"idle_{number:02}", broker=broker)(nothing)
