"""Fewer indexes of attempts: every row pays for each that it is in."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"

_TABLE = "job_executions"
_BEFORE = (
    ["tenant_id", "finished_at"],
    ["queue", "finished_at"],
    ["finished_at"],
    ["fingerprint", "finished_at"],
)
_TENANTS = "tenant_id IS NOT NULL"
_FAILURES = "state = 'failed' OR outcome IN ('retry', 'failed', 'lost')"


def upgrade() -> None:
    for columns in _BEFORE:
        op.drop_index(_name(columns), table_name=_TABLE)
    _create(["finished_at", "queue"])
    _create(["tenant_id", "finished_at"], _TENANTS)
    _create(["finished_at"], _FAILURES, "ix_job_executions_failures")


def downgrade() -> None:
    for name in (
        _name(["finished_at", "queue"]),
        _name(["tenant_id", "finished_at"]),
        "ix_job_executions_failures",
    ):
        op.drop_index(name, table_name=_TABLE)
    for columns in _BEFORE:
        _create(columns)


def _create(columns: list[str], where: str = "", name: str = "") -> None:
    condition = sa.text(where) if where else None
    op.create_index(
        name or _name(columns), _TABLE, columns, sqlite_where=condition, postgresql_where=condition
    )


def _name(columns: list[str]) -> str:
    return op.f(f"ix_{_TABLE}_{'_'.join(columns)}")
