"""A job of several steps fails after the second and goes on at the third."""

from collections import Counter

from control.demo.actors import demo_onboarding, runs_of_steps
from control.demo.scene import Scene
from control.demo.stage import DemoFailed

BACKOFF = {"type": "fixed", "delay": 500}
STEPS = ("account", "contract", "welcome")


def play(scene: Scene) -> None:
    scene.begin("A job goes on where it failed", "its first attempt ends after step 2 of 3")
    onboarding = scene.sent(
        "onboarding", demo_onboarding.send_with_options(kwargs={"customer": "ada"}, backoff=BACKOFF)
    )
    scene.until_ended(onboarding)
    runs, attempts = Counter(runs_of_steps()), scene.job(onboarding).attempts
    if attempts != 2 or [runs[name] for name in STEPS] != [1, 1, 1]:
        raise DemoFailed(f"In {attempts} attempts the steps ran so often: {dict(runs)}.")
    told = ", ".join(f"{name} {runs[name]}" for name in STEPS)
    scene.typed(f"callboard jobs show {onboarding.ids[0]}")
    scene.say(f"{attempts} attempts; how often each step ran: {told}.")
