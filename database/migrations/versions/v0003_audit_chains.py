"""Chains of hashes over the audit, what operators did, and four more columns of an attempt."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"

_NOTHING = "0" * 64


def upgrade() -> None:
    op.add_column("job_executions", sa.Column("inputs", sa.LargeBinary(), nullable=True))
    op.add_column("job_executions", sa.Column("trace_id", sa.Text(), nullable=True))
    op.add_column("job_executions", sa.Column("cost", sa.Double(), nullable=True))
    op.add_column("job_executions", sa.Column("cost_unit", sa.Text(), nullable=True))
    chains = op.create_table(
        "audit_chains",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("cut_number", sa.BigInteger(), nullable=False),
        sa.Column("cut_hash", sa.Text(), nullable=False),
        sa.Column("cut_at", sa.Text(), nullable=False),
        sa.Column("before_id", sa.BigInteger(), nullable=False),
        sa.Column("flaw", sa.BigInteger(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_audit_chains")),
    )
    op.create_table(
        "audit_batches",
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("first_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("digests", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_batches")),
    )
    op.create_table(
        "operator_actions",
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("action_id", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("tenant_id", sa.Text(), nullable=True),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_operator_actions")),
    )
    op.create_index(op.f("ix_operator_actions_action_id"), "operator_actions", ["action_id"])
    op.create_index(op.f("ix_operator_actions_tenant_id_number"), "operator_actions", ["tenant_id", "number"])
    last = op.get_bind().scalar(sa.text("SELECT coalesce(max(id), 0) FROM job_executions"))
    empty = {"number": 0, "hash": _NOTHING, "cut_number": 0, "cut_hash": _NOTHING, "key_id": "", "seal": ""}
    op.bulk_insert(
        chains,
        [
            {"name": name, "at": "", "cut_at": "", "before_id": before, "flaw": None, **empty}
            for name, before in (("executions", last), ("operators", 0))
        ],
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_operator_actions_tenant_id_number"), table_name="operator_actions")
    op.drop_index(op.f("ix_operator_actions_action_id"), table_name="operator_actions")
    op.drop_table("operator_actions")
    op.drop_table("audit_batches")
    op.drop_table("audit_chains")
    for column in ("cost_unit", "cost", "trace_id", "inputs"):
        op.drop_column("job_executions", column)
