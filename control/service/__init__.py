"""Every rule of the control room, once. API, CLI and dashboard are thin faces of it."""

from control.service.audit_reports import AuditReports
from control.service.canary import Canary
from control.service.dead_letters import DeadLetters
from control.service.effective import EffectiveRules
from control.service.history import HistoryService
from control.service.job_actions import JobActions
from control.service.jobs import JobService
from control.service.kept import KeptRules
from control.service.letter_views import (
    AttemptView,
    CanaryView,
    GroupsView,
    GroupView,
    HistoryView,
    LettersView,
    LetterView,
    Replayed,
)
from control.service.limit_actions import LimitService
from control.service.limit_views import LimitView, ProviderView
from control.service.new_job import NewJobRequest
from control.service.operator_views import (
    JobAnswer,
    LaneView,
    Paused,
    Removal,
    Retried,
    RulesView,
    WhyView,
)
from control.service.queue_actions import QueueActions
from control.service.queues import QueueService
from control.service.replay import Replay
from control.service.rules import RuleActions
from control.service.schedule_actions import ScheduleActions
from control.service.schedules import Schedules
from control.service.views import (
    JobView,
    ProgressView,
    QueueHealth,
    QueueMetrics,
    QueuesHealth,
    WorkerDetail,
    WorkerView,
)
from control.service.workers import WorkerService

__all__ = [
    "AttemptView",
    "AuditReports",
    "Canary",
    "CanaryView",
    "DeadLetters",
    "EffectiveRules",
    "GroupView",
    "GroupsView",
    "HistoryService",
    "HistoryView",
    "JobActions",
    "JobAnswer",
    "JobService",
    "JobView",
    "KeptRules",
    "LaneView",
    "LetterView",
    "LettersView",
    "LimitService",
    "LimitView",
    "NewJobRequest",
    "Paused",
    "ProgressView",
    "ProviderView",
    "QueueActions",
    "QueueHealth",
    "QueueMetrics",
    "QueueService",
    "QueuesHealth",
    "Removal",
    "Replay",
    "Replayed",
    "Retried",
    "RuleActions",
    "RulesView",
    "ScheduleActions",
    "Schedules",
    "WhyView",
    "WorkerDetail",
    "WorkerService",
    "WorkerView",
]
