"""The order of the demo's acts. Everything is sent with `actor.send()` and run by the workers."""

from control.demo.acts import (
    canary,
    cancelling,
    killing,
    limits,
    mail,
    privacy,
    reports,
    resuming,
    webhooks,
)
from control.demo.scene import Scene


def play(scene: Scene) -> None:
    """All acts. Raises DemoFailed when one does not end as it must."""
    messages, archive = mail.play(scene)
    killing.play(scene, archive)
    reports.play(scene, messages)
    webhooks.play(scene)
    privacy.play(scene)
    limits.play(scene)
    cancelling.play(scene)
    resuming.play(scene)
    canary.play(scene)
