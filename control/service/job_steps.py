"""The steps and effects that a job keeps, as people see them."""

from typing import TYPE_CHECKING, Any, Literal

from broker.codec import is_secret
from control.service.reading import PRIVATE
from control.service.views import StepsView, StepView
from jobs.errors import CallboardError, ForgedMessage
from jobs.model import Job
from middleware.steps import EFFECT, INTENT, OUTCOME

if TYPE_CHECKING:
    from actors.composition import App

_KINDS: dict[str, Literal["step", "effect"]] = {OUTCOME: "step", INTENT: "effect", EFFECT: "effect"}


def steps_view(app: "App", job: Job) -> StepsView:
    """All of them. Raises StoreUnavailable; what cannot be read here is said in its place."""
    private = _is_private(app, job)
    stored = app.store.steps(job.id)
    return StepsView(
        id=job.id,
        state=job.state,
        steps=[_step(app, job, name, kept, private) for name, kept in stored.items()],
    )


def _step(app: "App", job: Job, name: str, kept: bytes, private: bool) -> StepView:
    try:
        word, value, *named = _opened(app, job, kept)
    except CallboardError as error:
        return StepView(
            name=name, kind=None, finished=None, size=len(kept), note=f"it cannot be read here: {error}"
        )
    shown = PRIVATE if private else value
    finished = word != INTENT
    return StepView(
        name=named[0] if named else name,
        kind=_KINDS[word],
        finished=finished,
        size=len(kept),
        outcome=shown if finished else None,
        intent=None if finished else shown,
    )


def _opened(app: "App", job: Job, kept: bytes) -> list[Any]:
    """Which kind, the value, and of an encrypted job its name."""
    told = app.broker.codec.open_note("step", job, kept)
    if not (isinstance(told, list) and len(told) in (2, 3) and told[0] in _KINDS):
        raise ForgedMessage(f"a step of job {job.id} is none of ours")
    return told


def _is_private(app: "App", job: Job) -> bool:
    """What a job makes of arguments that nobody may see is as private as they are."""
    if is_secret(job):
        return True
    return job.actor in app.broker.actors and bool(app.contract(job.actor).private)
