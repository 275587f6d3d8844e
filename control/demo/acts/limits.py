"""A tenant with a limit floods a queue; another tenant's job passes, and an operator raises the limit."""

from typing import TYPE_CHECKING, Any

from actors import send_many
from actors.reports import report_generate
from control.demo.scene import Part, Scene
from control.demo.stage import LIMIT, LIMIT_OF, LIMITED_TENANT
from control.service import JobService, LimitService
from control.service.limit_views import LimitView
from jobs.states import JobState

if TYPE_CHECKING:
    from dramatiq import Message

OTHER = "globex"
FLOOD, RAISED = 30, 60
#: Of the flood, reports that have ended at the tenant's pace before its limit is raised.
SEEN = 3 * LIMIT_OF
STOCK = {"title": "Stock", "columns": [{"title": "Item"}], "rows": [["Lamp"]]}


def play(scene: Scene) -> None:
    scene.begin(
        "A tenant has its limit",
        f"{LIMITED_TENANT} may have {LIMIT_OF} reports a second and sends {FLOOD}",
    )
    flood = scene.sent(
        f"{FLOOD} {LIMITED_TENANT} reports", *send_many([_report(LIMITED_TENANT) for _ in range(FLOOD)])
    )
    (sent,) = send_many([_report(OTHER)])
    other = scene.sent(f"{OTHER} report", sent)
    scene.until_ended(other)
    _show_the_limit(scene, flood)
    scene.typed(f"callboard limits set {LIMIT} --tenant {LIMITED_TENANT} --limit {RAISED}")
    LimitService(scene.app, scene.by).change(LIMIT, LIMITED_TENANT, {"limit": RAISED})
    scene.until_ended(flood)


def _report(tenant: str) -> "Message[Any]":
    return report_generate.message_with_options(
        kwargs={"kind": "custom", "format": "csv", "report": STOCK}, tenant_id=tenant
    )


def _show_the_limit(scene: Scene, flood: Part) -> None:
    counters = list[LimitView]()

    def reached() -> bool:
        counters[:] = _used_up(scene)
        return bool(counters) or scene.ended(flood)

    scene.until(reached, f"{LIMITED_TENANT} did not reach its limit")
    waiting = [job for job in scene.jobs(flood) if job.state is JobState.WAITING]
    if not counters or not waiting:
        scene.say("This machine is slower than the limit, so nothing had to wait.")
        return
    scene.typed(f"callboard limits list --tenant {LIMITED_TENANT}")
    scene.say(
        f"used {counters[0].used}, left {counters[0].left}, {len(waiting)} jobs wait; "
        f"the report of {OTHER}, sent later, is there."
    )
    scene.typed(f"callboard jobs why {waiting[-1].id}")
    scene.say(JobService(scene.app).why(waiting[-1].id).reasons[0])
    scene.until(lambda: _ended(scene, flood) >= SEEN, f"{SEEN} reports of {LIMITED_TENANT} did not end")


def _used_up(scene: Scene) -> list[LimitView]:
    """The tenant's counter, once nothing is left and something waits for it."""
    counters = LimitService(scene.app, scene.by).read(LIMITED_TENANT, LIMIT).counters
    return [one for one in counters if one.left == 0 and one.waiting]


def _ended(scene: Scene, flood: Part) -> int:
    return sum(job.state.settled for job in scene.jobs(flood))
