"""The first tables: audit of attempts, mailboxes, webhook deliveries, reports."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    op.create_table(
        "email_sync_history",
        sa.Column("id", _row_id(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("started_at", _moment(), nullable=False),
        sa.Column("finished_at", _moment(), nullable=True),
        sa.Column("messages_new", sa.BigInteger(), nullable=False),
        sa.Column("messages_total", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'completed', 'failed')", name=op.f("ck_email_sync_history_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_email_sync_history")),
        sa.UniqueConstraint("tenant_id", "job_id", name=op.f("uq_email_sync_history_tenant_id_job_id")),
    )
    op.create_index(
        op.f("ix_email_sync_history_tenant_id_account_id_started_at"),
        "email_sync_history",
        ["tenant_id", "account_id", "started_at"],
    )
    op.create_table(
        "job_executions",
        sa.Column("id", _row_id(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("worker_name", sa.Text(), nullable=True),
        sa.Column("created_at", _moment(), nullable=False),
        sa.Column("ready_at", _moment(), nullable=True),
        sa.Column("started_at", _moment(), nullable=True),
        sa.Column("finished_at", _moment(), nullable=False),
        sa.Column("wait_ms", sa.BigInteger(), nullable=True),
        sa.Column("run_ms", sa.BigInteger(), nullable=True),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("stack", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("input_digest", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("recorded_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_executions")),
        sa.UniqueConstraint(
            "job_id",
            "attempt",
            "token",
            "created_at",
            name=op.f("uq_job_executions_job_id_attempt_token_created_at"),
        ),
    )
    op.create_index(
        op.f("ix_job_executions_fingerprint_finished_at"), "job_executions", ["fingerprint", "finished_at"]
    )
    op.create_index(op.f("ix_job_executions_finished_at"), "job_executions", ["finished_at"])
    op.create_index(op.f("ix_job_executions_queue_finished_at"), "job_executions", ["queue", "finished_at"])
    op.create_index(
        op.f("ix_job_executions_tenant_id_finished_at"), "job_executions", ["tenant_id", "finished_at"]
    )
    op.create_table(
        "mail_messages",
        sa.Column("id", _row_id(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("from_address", sa.Text(), nullable=False),
        sa.Column("to_addresses", sa.Text(), nullable=False),
        sa.Column("date", _moment(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("snippet", sa.Text(), nullable=False),
        sa.Column("has_attachments", sa.Boolean(), nullable=False),
        sa.Column("important", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_messages")),
        sa.UniqueConstraint(
            "tenant_id", "account_id", "folder", "uid_validity", "uid", name="uq_mail_messages_uid"
        ),
    )
    op.create_index(
        op.f("ix_mail_messages_tenant_id_account_id_date"),
        "mail_messages",
        ["tenant_id", "account_id", "date"],
    )
    op.create_table(
        "mailbox_cursors",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("uid_next", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "account_id", "folder", name=op.f("pk_mailbox_cursors")),
    )
    op.create_table(
        "reports",
        sa.Column("id", _row_id(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
        sa.UniqueConstraint(
            "tenant_id", "job_id", "kind", "format", name=op.f("uq_reports_tenant_id_job_id_kind_format")
        ),
    )
    op.create_index(op.f("ix_reports_tenant_id_created_at"), "reports", ["tenant_id", "created_at"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", _row_id(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("at", _moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(
        op.f("ix_webhook_deliveries_tenant_id_endpoint_id_at"),
        "webhook_deliveries",
        ["tenant_id", "endpoint_id", "at"],
    )
    op.create_index(
        op.f("ix_webhook_deliveries_tenant_id_webhook_id_at"),
        "webhook_deliveries",
        ["tenant_id", "webhook_id", "at"],
    )
    op.create_table(
        "webhook_endpoints_disabled",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("since", _moment(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "endpoint_id", name=op.f("pk_webhook_endpoints_disabled")),
    )


def downgrade() -> None:
    op.drop_table("webhook_endpoints_disabled")
    op.drop_index(op.f("ix_webhook_deliveries_tenant_id_webhook_id_at"), table_name="webhook_deliveries")
    op.drop_index(op.f("ix_webhook_deliveries_tenant_id_endpoint_id_at"), table_name="webhook_deliveries")
    op.drop_table("webhook_deliveries")
    op.drop_index(op.f("ix_reports_tenant_id_created_at"), table_name="reports")
    op.drop_table("reports")
    op.drop_table("mailbox_cursors")
    op.drop_index(op.f("ix_mail_messages_tenant_id_account_id_date"), table_name="mail_messages")
    op.drop_table("mail_messages")
    op.drop_index(op.f("ix_job_executions_tenant_id_finished_at"), table_name="job_executions")
    op.drop_index(op.f("ix_job_executions_queue_finished_at"), table_name="job_executions")
    op.drop_index(op.f("ix_job_executions_finished_at"), table_name="job_executions")
    op.drop_index(op.f("ix_job_executions_fingerprint_finished_at"), table_name="job_executions")
    op.drop_table("job_executions")
    op.drop_index(
        op.f("ix_email_sync_history_tenant_id_account_id_started_at"), table_name="email_sync_history"
    )
    op.drop_table("email_sync_history")


def _moment() -> sa.DateTime:
    return sa.DateTime(timezone=True)


def _row_id() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
