"""Webhooks are delivered to a receiver that fails at first, and to one that refuses."""

from typing import TYPE_CHECKING, Any

from actors.webhooks import webhook_deliver
from control.demo.scene import Scene
from jobs.states import JobState

if TYPE_CHECKING:
    from dramatiq import Message

QUICK_BACKOFF = {"type": "fixed", "delay": 700}


def play(scene: Scene) -> None:
    scene.begin("Webhooks are delivered", "to a receiver that fails twice; one is refused")
    delivered = scene.sent("4 webhooks", *(_sent("crm", number) for number in range(1, 5)))
    refused = scene.sent("webhook refused", _sent("legacy", 5), ends=JobState.FAILED)
    scene.until_ended(delivered, refused)


def _sent(endpoint: str, number: int) -> "Message[Any]":
    return webhook_deliver.send_with_options(
        kwargs={"endpoint_id": endpoint, "event": "report.ready", "data": {"number": number}},
        backoff=QUICK_BACKOFF,
    )
