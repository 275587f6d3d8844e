"""A running job is cancelled by an operator."""

import time

from control.demo.actors import demo_import, half_written
from control.demo.scene import Scene
from control.demo.stage import DemoFailed
from control.service import JobActions
from jobs.states import JobState

ROWS, REASON = 400, "wrong file"
#: Of the import, in rows, before it is cancelled.
SEEN = 20


def play(scene: Scene) -> None:
    scene.begin("A running job is cancelled", "it clears away what it had half done")
    running = scene.sent("import", demo_import.send(rows=ROWS), ends=JobState.CANCELLED)
    scene.until(lambda: _rows() >= SEEN, "the import did not begin")
    rows, began = _rows(), time.monotonic()
    (job_id,) = running.ids
    scene.typed(f"callboard jobs cancel {job_id} --reason '{REASON}'")
    JobActions(scene.app, scene.by).cancel([job_id], REASON)
    while not scene.ended(running) and time.monotonic() < scene.deadline:
        time.sleep(0.01)
    took = time.monotonic() - began
    scene.until_ended(running)
    if half_written().exists():
        raise DemoFailed("The cancelled import has left its file behind.")
    scene.say(
        f"{took:.2f} s later it is cancelled ({scene.job(running).cancel_reason}); "
        f"its file of {rows} rows is gone."
    )


def _rows() -> int:
    try:
        return half_written().read_text().count("\n")
    except FileNotFoundError:
        return 0
