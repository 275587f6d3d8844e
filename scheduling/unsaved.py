"""What a leader has done and the database does not know yet."""

from datetime import datetime

from database.schedule_history import TickRow
from scheduling.firing import Fired


class Unsaved:
    """`created` are those of the rows whose jobs only this process has made."""

    def __init__(self) -> None:
        self.cursors: dict[str, datetime] = {}
        self.rows: list[TickRow] = []
        self.replaced: list[tuple[str, str]] = []
        self.created: list[TickRow] = []

    def __bool__(self) -> bool:
        return bool(self.cursors or self.rows)

    def add(self, fired: Fired) -> None:
        """A tick that was fired."""
        row = fired.row()
        self.rows.append(row)
        if fired.created:
            self.created.append(row)
        if fired.replaced is not None and fired.job_id is not None:
            self.replaced.append((fired.replaced, fired.job_id))
