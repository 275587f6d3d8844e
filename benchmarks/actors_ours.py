"""The actors under test on our side: what `dramatiq benchmarks.actors_ours` loads. Everything is default.

The environment that `benchmarks.ground` makes says only where the server and the home folder are.
"""

import dramatiq

from actors.composition import compose
from actors.declare import actor
from benchmarks.stamps import hold_on, send_stamp

QUEUE = "bench"

app = compose()
dramatiq.set_broker(app.broker)


@actor(queue=QUEUE)
def noop(number: int, text: str) -> None:
    """Nothing, so that only the engine is measured."""


@actor(queue=QUEUE)
def stamp(number: int, text: str) -> None:
    """Tell the measuring process that job `number` has started."""
    send_stamp(number)


@actor(queue=QUEUE)
def hold(number: int, text: str) -> None:
    """The same, and run on until the measurement is over."""
    hold_on(number)
