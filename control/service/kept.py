"""The changes that SQL keeps, against those that the job store goes by."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from control.service.effective import as_text
from control.service.journal import acting, record
from control.service.limit_actions import KeptLimits
from jobs.model import Scope

if TYPE_CHECKING:
    from actors.composition import App


class Difference(NamedTuple):
    """One rule that the store does not have as SQL keeps it; None: it follows the settings there."""

    scope: Scope
    name: str
    kept: object
    present: object

    def __str__(self) -> str:
        where = self.scope.queue
        if self.scope.lane is not None:
            where += f", tenant {self.scope.lane!r}" if self.scope.lane else ", jobs without a tenant"
        return f"{where}: {self.name} is {_told(self.present)}, kept is {_told(self.kept)}"


class KeptRules:
    """All raise StoreUnavailable, DatabaseUnavailable, DatabaseOutdated."""

    def __init__(self, app: "App", by: str) -> None:
        self._app = app
        self._by = by

    def differences(self) -> list[Difference]:
        """Where the store and SQL disagree, by queue."""
        kept, present = self._kept(), _flat(self._app.store.adjustments())
        different = [key for key in kept.keys() | present.keys() if kept.get(key) != present.get(key)]
        different.sort(key=lambda key: (key[0].queue, key[0].lane or "", key[1]))
        return [Difference(*key, kept.get(key), present.get(key)) for key in different]

    def restore_if_new(self) -> int:
        """Fill a store that knows no change at all, as a new one does; how many rules it was told."""
        done = 0 if self._app.store.adjustments() else self.restore()
        return done if self._app.store.limit_changes() else done + KeptLimits(self._app).restore()

    def restore(self) -> int:
        """Make the store go by what SQL keeps; how many rules were told."""
        differences = self.differences()
        by_scope: dict[Scope, dict[str, object]] = {}
        for one in differences:
            by_scope.setdefault(one.scope, {})[one.name] = one.kept
        if differences:
            queues = sorted({scope.queue for scope in by_scope})
            with acting(self._app, self._by, "rules.restore", parameters={"queues": queues}) as deed:
                deed.count = 0
                for scope, changes in by_scope.items():
                    self._app.store.adjust(scope, changes)
                    deed.count += len(changes)
            record(self._by, "rules.restore", rules=len(differences))
        return len(differences)

    def _kept(self) -> dict[tuple[Scope, str], object]:
        from database.adjustments import Adjustments

        return {(one.scope, one.name): one.value for one in Adjustments(self._app.engine()).read()}


def _flat(adjusted: Mapping[Scope, Mapping[str, object]]) -> dict[tuple[Scope, str], object]:
    return {(scope, name): value for scope, changes in adjusted.items() for name, value in changes.items()}


def _told(value: object) -> str:
    if value is None:
        return "as in the settings"
    shown = as_text(value)
    return "no limit" if shown is None else str(shown).lower()
