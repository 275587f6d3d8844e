"""The part of a schedule's document that says when: as JSON values, and from them or from TOML's dates."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jobs.errors import InvalidSchedule
from jobs.times import durations
from jobs.times.calendar import Exclusions
from jobs.times.cron import Cron
from jobs.times.intervals import LONGEST_EVERY_S, Every, Once
from jobs.times.plan import LONGEST_JITTER_S, Plan
from jobs.times.zones import instant_text, moment

#: The keys that are read here; exactly one of the first three must be given.
PLAN_KEYS = ("cron", "every", "at", "timezone", "exclude", "jitter", "start", "end")


_NONE = Exclusions()


def plan_of(document: Mapping[str, Any]) -> Plan:
    """The plan of a document, whose other keys are not looked at. Raises InvalidSchedule."""
    zone = document.get("timezone", "UTC")
    if not isinstance(zone, str):
        raise InvalidSchedule(f"timezone {str(zone)[:50]!r} must be a text such as 'Europe/Berlin'.")
    start, end = (_instant(name, document[name]) if name in document else None for name in ("start", "end"))
    return Plan(
        timing=_timing(document, zone),
        zone=zone,
        exclusions=_exclusions(document.get("exclude", {})),
        start=start,
        end=end,
        jitter_s=durations.seconds("jitter", document.get("jitter", 0), 0, LONGEST_JITTER_S),
    )


def plan_document(plan: Plan) -> dict[str, Any]:
    """What `plan_of` makes this plan of; what is as by default is left out."""
    found: dict[str, Any] = {_key(plan.timing): plan.timing.text}
    if plan.zone != "UTC":
        found["timezone"] = plan.zone
    if plan.exclusions:
        found["exclude"] = plan.exclusions.document()
    if plan.jitter_s:
        found["jitter"] = durations.text_of_seconds(plan.jitter_s)
    for name, bound in (("start", plan.start), ("end", plan.end)):
        if bound is not None:
            found[name] = instant_text(bound)
    return found


def _timing(document: Mapping[str, Any], zone: str) -> Cron | Every | Once:
    given = [name for name in ("cron", "every", "at") if name in document]
    if len(given) != 1:
        has = " and ".join(given) or "none of them"
        raise InvalidSchedule(f"a schedule must have exactly one of cron, every and at, and this has {has}.")
    value = document[given[0]]
    if given[0] == "cron":
        return Cron.parse(value, zone)
    if given[0] == "every":
        return Every(durations.seconds("every", value, 1, LONGEST_EVERY_S))
    return Once(_instant("at", value))


def _key(timing: Cron | Every | Once) -> str:
    if isinstance(timing, Cron):
        return "cron"
    return "every" if isinstance(timing, Every) else "at"


def _exclusions(given: object) -> Exclusions:
    if given == {}:
        return _NONE
    if not isinstance(given, Mapping) or not given.keys() <= {"dates", "windows"}:
        raise InvalidSchedule("exclude must be a table with dates, windows or both.")
    return Exclusions.parse(**{str(name): value for name, value in given.items() if value is not None})


def _instant(name: str, given: object) -> datetime:
    if isinstance(given, str):
        try:
            read = datetime.fromisoformat(given)
        except ValueError:
            return moment(name, given)  # which says what is right
        return moment(name, read if read.tzinfo is not None else given)
    return moment(name, given)
