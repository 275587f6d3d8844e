"""What is secret stays so on its way: in messages that wait in another one's options, and in what follows."""

from base64 import b64encode
from collections.abc import Callable
from typing import Annotated, Any

import dramatiq
import orjson
import pytest
import redis
from dramatiq import Message

from actors.composition import App
from actors.declare import actor
from jobs.errors import InvalidPayload
from jobs.marks import Secret
from jobs.model import Scope
from tests.fundamentals.stage import StartWorker
from tests.waiting import eventually

MAILS = Scope("mails")
CARD = "hunter2-4111111111111111"
READ_BY: dict[str, Callable[[Any, bytes], Any]] = {
    "hash": lambda client, key: client.hgetall(key),
    "zset": lambda client, key: client.zrange(key, 0, -1),
    "string": lambda client, key: client.get(key),
    "stream": lambda client, key: client.xrange(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "set": lambda client, key: client.smembers(key),
}


@pytest.fixture
def policies() -> dict[str, Any]:
    return {"queues": {"clear": {"encryption": False}, "closed": {"encryption": True}}}


@pytest.fixture
def ran(real_app: App) -> list[Any]:
    ran: list[Any] = []

    @actor(queue="orders")
    def lookup(order: int) -> int:
        return order

    @actor(queue="cards")
    def charge(order: int, card: Annotated[str, Secret]) -> str:
        ran.append((order, card))
        return f"charged {card}"

    @actor(queue="mails")
    def tell(words: str) -> None:
        ran.append(words)

    @actor(queue="closed")
    def keep(words: str) -> None:
        pass

    @actor(queue="clear")
    def noted(order: int) -> int:
        return order

    @actor(queue="mails")
    def told(message: dict[str, Any], result: Any) -> None:
        ran.append((message, result))

    return ran


def act(app: App, name: str) -> "dramatiq.Actor[..., Any]":
    return app.broker.get_actor(name)


def in_clear(app: App, text: str = CARD) -> list[str]:
    """The keys of the server in which a text can be read."""
    found = []
    with redis.Redis.from_url(app.redis_address().url) as client:
        for key in client.scan_iter(match=f"{app.settings.redis.namespace}:*", count=1_000):
            read = READ_BY[client.type(key).decode()]
            if text in repr(read(client, key)):
                found.append(key.decode())
    return found


def test_the_next_of_a_pipeline_waits_encrypted(
    real_app: App, running_worker: StartWorker, ran: list[Any]
) -> None:
    charge = act(real_app, "charge").message_with_options(kwargs={"card": CARD})
    dramatiq.pipeline([act(real_app, "lookup").message(7), charge]).run()
    assert in_clear(real_app) == []

    running_worker()
    eventually(lambda: ran == [(7, CARD)])
    assert in_clear(real_app) == []


def test_also_the_one_after_the_next(real_app: App, ran: list[Any]) -> None:
    lookup = act(real_app, "lookup")
    last = act(real_app, "charge").message_with_options(kwargs={"card": CARD})
    dramatiq.pipeline([lookup.message(7), lookup.message(), last]).run()
    assert in_clear(real_app) == []


def test_what_a_group_calls_in_the_end_waits_encrypted(real_app: App, ran: list[Any]) -> None:
    group = dramatiq.group([act(real_app, "lookup").message(7)])
    group.add_completion_callback(act(real_app, "keep").message(CARD))
    group.run()
    assert in_clear(real_app) == []


def test_of_an_actor_that_is_not_declared_here_nobody_knows(real_app: App, ran: list[Any]) -> None:
    elsewhere = Message("elsewhere", "charge_elsewhere", (CARD,), {}, {})
    act(real_app, "lookup").send_with_options(args=(7,), pipe_target=elsewhere.asdict())
    assert in_clear(real_app) == []


def test_a_queue_that_is_never_encrypted_takes_no_secret_along(real_app: App, ran: list[Any]) -> None:
    charge = act(real_app, "charge").message_with_options(kwargs={"card": CARD})
    with pytest.raises(InvalidPayload, match=r"take encryption = false from \[queues.clear\]"):
        dramatiq.pipeline([act(real_app, "noted").message(7), charge]).run()
    with pytest.raises(InvalidPayload, match="charge"):
        dramatiq.pipeline(
            [act(real_app, "lookup").message(7), act(real_app, "noted").message(), charge]
        ).run()
    assert real_app.store.stats(["orders", "clear"])[0].waiting == 0


def test_other_pipelines_stay_signed(real_app: App, ran: list[Any]) -> None:
    dramatiq.pipeline(
        [act(real_app, "lookup").message(7), act(real_app, "tell").message("plain words")]
    ).run()
    assert len(in_clear(real_app, "plain words")) == 1


def test_a_callback_of_an_encrypted_job_is_told_nothing_that_was_sealed(
    real_app: App, running_worker: StartWorker, ran: list[Any]
) -> None:
    real_app.store.adjust(MAILS, {"paused": True})
    first = act(real_app, "charge").message_with_options(
        kwargs={"order": 1, "card": CARD}, on_success="told", tenant_id="acme"
    )
    last = act(real_app, "charge").message_with_options(kwargs={"order": 2, "card": CARD}, pipe_ignore=True)
    dramatiq.pipeline([first, last]).run()
    running_worker()

    eventually(lambda: len(ran) == 2 and real_app.store.stats(["mails"])[0].waiting == 1)
    assert in_clear(real_app) == []  # the result that it brings neither
    real_app.store.adjust(MAILS, {"paused": False})
    eventually(lambda: len(ran) == 3)

    message, result = ran[-1]
    assert result == f"charged {CARD}"
    assert (message["args"], message["kwargs"], message["actor_name"]) == ([], {}, "charge")
    assert "pipe_target" not in message["options"]
    assert message["options"]["tenant_id"] == "acme"


def test_the_result_of_an_encrypted_job_is_encrypted_in_the_next_of_its_pipeline(
    real_app: App, running_worker: StartWorker, ran: list[Any]
) -> None:
    real_app.store.adjust(MAILS, {"paused": True})
    charge = act(real_app, "charge").message(1, CARD)
    dramatiq.pipeline([charge, act(real_app, "tell").message()]).run()
    running_worker()

    eventually(lambda: real_app.store.stats(["mails"])[0].waiting == 1)
    assert in_clear(real_app) == []
    real_app.store.adjust(MAILS, {"paused": False})
    eventually(lambda: ran[-1:] == [f"charged {CARD}"])


def test_what_a_failure_quotes_of_an_encrypted_job_is_hidden_however_short_and_however_written(
    real_app: App, running_worker: StartWorker, ran: list[Any]
) -> None:
    @actor(queue="cards", attempts=1)
    def check(pin: Annotated[str, Secret], password: Annotated[str, Secret]) -> None:
        basic = b64encode(f"ada:{password}".encode()).decode()
        raise ValueError(f"PIN {pin} refused, Authorization: Basic {basic}")

    job_id = check.send("173", "open sesame").message_id
    running_worker()

    def failed() -> bool:
        job = real_app.store.get(job_id)
        return job is not None and job.state.settled

    eventually(failed)
    job = real_app.store.get(job_id)
    assert job is not None
    assert orjson.loads(job.record or b"")["error"]["message"] == (
        "PIN [argument] refused, Authorization: Basic [argument]"
    )
