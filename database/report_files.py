"""The files that report jobs made."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, select

from database.dialects import insert_into
from database.engine import read_session, write_session
from database.models import Report


@dataclass(frozen=True, slots=True)
class ReportFile:
    """One file of a report. `size` is in bytes, `sha256` in hexadecimal."""

    job_id: str
    kind: str
    format: str
    path: str
    size: int
    sha256: str
    created_at: datetime | None = None  # None: now


class ReportFiles:
    """The report files of one tenant ("" for those without). All verbs raise DatabaseUnavailable."""

    def __init__(self, engine: Engine, tenant_id: str = "") -> None:
        self._engine = engine
        self._tenant = tenant_id

    def record(self, file: ReportFile) -> None:
        """Enter a file. The same job, kind and format again replaces what was entered."""
        values = {name: getattr(file, name) for name in ReportFile.__slots__}
        values["created_at"] = file.created_at or datetime.now(UTC)
        replaced = {name: values[name] for name in ("path", "size", "sha256", "created_at")}
        insert = insert_into(self._engine, Report).values(tenant_id=self._tenant, **values)
        with write_session(self._engine) as session:
            session.execute(
                insert.on_conflict_do_update(
                    index_elements=["tenant_id", "job_id", "kind", "format"], set_=replaced
                )
            )

    def of_job(self, job_id: str) -> list[ReportFile]:
        """The files that one job made, in the order of their making."""
        wanted = (
            select(Report)
            .where(Report.tenant_id == self._tenant, Report.job_id == job_id)
            .order_by(Report.created_at, Report.id)
        )
        with read_session(self._engine) as session:
            return [
                ReportFile(**{name: getattr(row, name) for name in ReportFile.__slots__})
                for row in session.scalars(wanted)
            ]
