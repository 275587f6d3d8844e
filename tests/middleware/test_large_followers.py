"""A message that comes along and is too large is refused by its own name, and leaves nothing behind."""

from typing import Any

import dramatiq
import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import PayloadTooLarge
from tests.fundamentals.stage import StartWorker
from tests.waiting import eventually

LARGE = "z" * 200_000


@pytest.fixture
def policies() -> dict[str, Any]:
    return {"queues": {"roomy": {"payload_blob": True}}}


def blobs(app: App) -> int:
    return len(app.blobs().page("", 10**15, 100))


@pytest.mark.parametrize("queue", ["roomy", "narrow"])
@pytest.mark.parametrize("own", ["small", LARGE], ids=["small", "large"])
def test_the_later_message_of_a_pipeline_is_named(app: App, jobs: FakeJobs, queue: str, own: str) -> None:
    @actor(queue=queue)
    def first(text: str) -> str:
        return text

    @actor(queue="roomy")
    def second(data: str, text: str) -> None: ...

    @actor(queue="roomy")
    def third(data: str, text: str) -> None: ...

    for line in (
        [first.message(own), second.message(LARGE + "longer")],
        [first.message(own), second.message("small"), third.message(LARGE + "longer")],
    ):
        name = line[-1].actor_name
        words = rf"^The arguments of {name}, which comes after first, take 200,015 bytes; .*first send {name}"
        with pytest.raises(PayloadTooLarge, match=words):
            dramatiq.pipeline(line).run()
    assert (jobs.queued(), blobs(app)) == ([], 0)

    assert second.send(LARGE, "text").created, "alone it may be as large"
    assert blobs(app) == 1


def test_what_a_group_calls_is_named_too(app: App, jobs: FakeJobs) -> None:
    @actor(queue="roomy")
    def member() -> None: ...

    @actor(queue="roomy")
    def done(data: str) -> None: ...

    group = dramatiq.group([member.message(), member.message()])
    group.add_completion_callback(done.message(LARGE))
    with pytest.raises(PayloadTooLarge, match=r"^The arguments of done, which comes after member,"):
        group.run()
    assert blobs(app) == 0


def test_a_large_first_message_is_put_away_with_a_small_one_after_it(
    real_app: App, running_worker: StartWorker
) -> None:
    seen: list[int] = []

    @actor(queue="roomy")
    def first(text: str) -> str:
        return text

    @actor(queue="roomy")
    def second(text: str) -> None:
        seen.append(len(text))

    dramatiq.pipeline([first.message(LARGE), second.message()]).run()
    running_worker()
    assert eventually(lambda: seen) == [200_000]


def test_a_first_message_that_is_itself_too_large_is_named_itself(app: App, jobs: FakeJobs) -> None:
    @actor(queue="narrow")
    def first(text: str) -> str:
        return text

    @actor(queue="roomy")
    def second(data: str, text: str) -> None: ...

    with pytest.raises(PayloadTooLarge, match=r"^The arguments of first take 200,"):
        dramatiq.pipeline([first.message(LARGE), second.message("small")]).run()
