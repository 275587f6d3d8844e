"""Dead letters of one cause are run again by canary: it stops while the cause is there."""

from typing import TYPE_CHECKING, Any

from actors.webhooks import webhook_deliver
from control.demo.scene import Part, Scene
from control.demo.stage import DemoFailed
from control.service.canary import Canary
from control.service.letters import Letters
from control.service.requests import DeadLetterFilter
from jobs.states import JobState

if TYPE_CHECKING:
    from dramatiq import Message

    from control.service import CanaryView

LETTERS = 12
#: So that each failure is a dead letter at once.
ATTEMPTS = 1


def play(scene: Scene) -> None:
    scene.begin("Dead letters by canary", f"{LETTERS} webhooks to a partner that is out of order")
    letters = scene.sent(
        f"{LETTERS} for partner", *(_sent(number) for number in range(LETTERS)), ends=JobState.FAILED
    )
    scene.until_ended(letters)
    wanted = _cause(scene)
    scene.typed(f"callboard dead replay --fingerprint {wanted.fingerprint} --canary --yes")
    first = _replay(scene, wanted, letters)
    if (first.state, first.started) != ("stopped", 1):
        raise DemoFailed(f"The canary did not stop at the first job: {first.message}.")
    scene.say(f"The partner is still out of order: {first.message}.")
    scene.stage.mend()
    scene.say("The partner is mended, and the same command goes on:")
    letters.ends = JobState.COMPLETED
    second = _replay(scene, wanted, letters)
    scene.until_ended(letters)
    if (second.state, second.started) != ("done", LETTERS):
        raise DemoFailed(f"The canary did not run all of them again: {second.message}.")


def _sent(number: int) -> "Message[Any]":
    return webhook_deliver.send_with_options(
        kwargs={"endpoint_id": "partner", "event": "order.placed", "data": {"number": number}},
        attempts=ATTEMPTS,
    )


def _cause(scene: Scene) -> DeadLetterFilter:
    """The fingerprint that all of them have."""
    groups = Letters(scene.app).groups(DeadLetterFilter(name=webhook_deliver.actor_name)).groups
    if not groups or groups[0].count != LETTERS:
        raise DemoFailed(f"The {LETTERS} dead letters have not one fingerprint.")
    return DeadLetterFilter(fingerprint=groups[0].fingerprint)


def _replay(scene: Scene, wanted: DeadLetterFilter, letters: Part) -> "CanaryView":
    canary = Canary(scene.app, scene.by)
    views = [canary.step(wanted)]

    def ended() -> bool:
        if views[-1].state == "waiting":
            views.append(canary.step(wanted, run=views[-1].next))
        return views[-1].state != "waiting"

    scene.until(ended, "the canary did not end")
    stages = list(dict.fromkeys(view.started for view in views))
    letters.before += views[-1].started * ATTEMPTS
    if len(stages) > 1:
        told = ", then ".join(map(str, stages))
        scene.say(f"Run again: {told} of {LETTERS}; none failed as before.")
    return views[-1]
