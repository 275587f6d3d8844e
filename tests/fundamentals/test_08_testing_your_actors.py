"""8. Your own tests need no server and no worker.

    with fake(app.broker) as jobs:     # send() records; run_all() runs, with the whole stack
    with inline(app.broker):           # send() runs the job at once and raises what it raised

With the actors of this house `app` is `actors.app`.
"""

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import fake, inline


def test_fake_shows_what_was_sent_and_runs_it_when_asked(app: App) -> None:
    letters = []

    @actor
    def welcome(name: str) -> None:
        letters.append(name)

    def sign_up(name: str) -> None:  # the code under test
        welcome.send(name)

    with fake(app.broker) as jobs:
        sign_up("Ada")
        (job,) = jobs.queued("welcome")
        assert app.broker.decode(job).args == ("Ada",)
        assert letters == []

        assert jobs.run_all() == 1
        assert letters == ["Ada"]


def test_run_all_runs_what_the_jobs_send_too(app: App) -> None:
    done = []

    @actor
    def first() -> None:
        second.send()
        done.append("first")

    @actor
    def second() -> None:
        done.append("second")

    with fake(app.broker) as jobs:
        first.send()
        assert jobs.run_all() == 2
    assert done == ["first", "second"]


def test_inline_runs_a_job_as_it_is_sent_whatever_its_delay(app: App) -> None:
    @actor
    async def double(x: int) -> int:
        return 2 * x

    with inline(app.broker):
        assert double.send(21).get_result() == 42
        assert double.send_with_options(args=(4,), delay=3_600_000).get_result() == 8


def test_inline_raises_what_the_job_raised(app: App) -> None:
    @actor
    def broken() -> None:
        raise LookupError("no such thing")

    with inline(app.broker), pytest.raises(LookupError, match="no such thing"):
        broken.send()


def test_an_actor_is_still_a_function(app: App) -> None:
    @actor
    def add(x: int, y: int) -> int:
        return x + y

    assert add(1, 2) == 3
