"""What every router under /api shares: the services, and the bearer key in the OpenAPI document."""

from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from control.service import (
    AuditReports,
    Canary,
    DeadLetters,
    EffectiveRules,
    HistoryService,
    JobActions,
    JobService,
    LimitService,
    QueueActions,
    QueueService,
    Replay,
    RuleActions,
    ScheduleActions,
    Schedules,
    WorkerService,
)
from control.service.keys import KeyActions
from control.service.letters import Letters as LettersInStore

if TYPE_CHECKING:
    from actors.composition import App

# The guard has checked the key already; this tells the documentation that there is one.
bearer = Security(HTTPBearer(auto_error=False, description="the key that the first start printed"))


#: Who did it, in the journal: there is one key for all callers.
CALLER = "api"


def _reports(request: Request) -> AuditReports:
    return AuditReports(_app(request), CALLER)


def _jobs(request: Request) -> JobService:
    return JobService(_app(request))


def _job_actions(request: Request) -> JobActions:
    return JobActions(_app(request), CALLER)


def _queues(request: Request) -> QueueService:
    return QueueService(_app(request))


def _queue_actions(request: Request) -> QueueActions:
    return QueueActions(_app(request), CALLER)


def _dead_letters(request: Request) -> DeadLetters:
    return DeadLetters(_app(request), CALLER)


def _letters(request: Request) -> LettersInStore:
    return LettersInStore(_app(request))


def _replays(request: Request) -> Replay:
    return Replay(_app(request), CALLER)


def _canaries(request: Request) -> Canary:
    return Canary(_app(request), CALLER)


def _histories(request: Request) -> HistoryService:
    return HistoryService(_app(request))


def _rules(request: Request) -> EffectiveRules:
    return EffectiveRules(_app(request))


def _rule_actions(request: Request) -> RuleActions:
    return RuleActions(_app(request), CALLER)


def _workers(request: Request) -> WorkerService:
    return WorkerService(_app(request))


def _limits(request: Request) -> LimitService:
    return LimitService(_app(request), CALLER)


def _schedules(request: Request) -> Schedules:
    return Schedules(_app(request))


def _schedule_actions(request: Request) -> ScheduleActions:
    return ScheduleActions(_app(request), CALLER)


def _app(request: Request) -> "App":
    return cast("App", request.app.state.app)


def _keys(request: Request) -> KeyActions:
    return KeyActions(_app(request), CALLER)


Reports = Annotated[AuditReports, Depends(_reports)]
KeyVerbs = Annotated[KeyActions, Depends(_keys)]
LimitVerbs = Annotated[LimitService, Depends(_limits)]
Jobs = Annotated[JobService, Depends(_jobs)]
JobVerbs = Annotated[JobActions, Depends(_job_actions)]
Queues = Annotated[QueueService, Depends(_queues)]
QueueVerbs = Annotated[QueueActions, Depends(_queue_actions)]
Letters = Annotated[DeadLetters, Depends(_dead_letters)]
LetterViews = Annotated[LettersInStore, Depends(_letters)]
Replays = Annotated[Replay, Depends(_replays)]
Canaries = Annotated[Canary, Depends(_canaries)]
Histories = Annotated[HistoryService, Depends(_histories)]
Rules = Annotated[EffectiveRules, Depends(_rules)]
RuleVerbs = Annotated[RuleActions, Depends(_rule_actions)]
ScheduleReads = Annotated[Schedules, Depends(_schedules)]
ScheduleVerbs = Annotated[ScheduleActions, Depends(_schedule_actions)]
Workers = Annotated[WorkerService, Depends(_workers)]
