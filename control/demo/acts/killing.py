"""The worker of a running job is killed; another one finishes the job."""

import os
import signal

import orjson

from control.demo.scene import Part, Scene
from control.demo.stage import DemoFailed
from jobs.model import Job

#: How far the job must be, in percent.
KILL_AT = 55


def play(scene: Scene, archive: Part) -> None:
    """Kills the worker of `archive`, which another worker goes on with."""
    scene.begin("A worker is killed", "in the middle of the archive; its job goes on elsewhere")
    scene.until(lambda: _far_enough(scene.job(archive)), "the archive's sync did not get far")
    job = scene.job(archive)
    assert job.owner is not None
    pid = int(job.owner.split(":")[1])
    number = scene.stage.worker_of(pid)
    os.kill(pid, signal.SIGKILL)
    scene.killed = f"worker-{number} (process {pid})"
    scene.typed(f"kill -KILL {pid}")
    following = len(scene.stage.workers) + 1
    scene.stage.start_worker(following)
    scene.say(
        f"{scene.killed} is killed with SIGKILL at {_percent(job):.0f}%; worker-{following} replaces it."
    )
    scene.until_ended(archive)
    if scene.job(archive).lost_leases != 1:
        raise DemoFailed("The archive was synced without losing its worker; run the demo again.")


def _far_enough(job: Job) -> bool:
    if job.state.settled:
        raise DemoFailed("The archive was synced before its worker could be killed; run the demo again.")
    return job.owner is not None and _percent(job) >= KILL_AT


def _percent(job: Job) -> float:
    return float(orjson.loads(job.progress).get("percent", 0)) if job.progress else 0.0
