"""Every rule of the control room, once. API, CLI and dashboard are thin faces of it."""

from control.service.jobs import JobService, NewJobRequest
from control.service.queues import QueueService
from control.service.views import JobView, ProgressView, QueueHealth, QueueMetrics, QueuesHealth, WorkerView
from control.service.workers import WorkerService

__all__ = [
    "JobService",
    "JobView",
    "NewJobRequest",
    "ProgressView",
    "QueueHealth",
    "QueueMetrics",
    "QueueService",
    "QueuesHealth",
    "WorkerService",
    "WorkerView",
]
