"""All tables, one file a subject. Importing this package fills `Base.metadata`."""

from database.models.adjustments import AdjustedRule
from database.models.audit import AuditBatch, AuditChain, OperatorAction
from database.models.base import Base
from database.models.blobs import PayloadBlob, PayloadBlobChunk
from database.models.executions import JobExecution
from database.models.mail import MailboxCursor, StoredMessage, SyncRun
from database.models.reports import Report
from database.models.schedules import SchedulerLeaseRow, ScheduleRow, SchedulerProcessRow, ScheduleTick
from database.models.tenant_keys import TenantKey
from database.models.webhooks import DisabledEndpoint, WebhookDelivery

__all__ = [
    "AdjustedRule",
    "AuditBatch",
    "AuditChain",
    "Base",
    "DisabledEndpoint",
    "JobExecution",
    "MailboxCursor",
    "OperatorAction",
    "PayloadBlob",
    "PayloadBlobChunk",
    "Report",
    "ScheduleRow",
    "ScheduleTick",
    "SchedulerLeaseRow",
    "SchedulerProcessRow",
    "StoredMessage",
    "SyncRun",
    "TenantKey",
    "WebhookDelivery",
]
