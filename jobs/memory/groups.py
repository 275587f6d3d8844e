"""Groups of jobs, and which of their members are completed."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Group:
    size: int
    ends: int
    members: set[str] = field(default_factory=set)
    last: str = ""


class Groups:
    def __init__(self) -> None:
        self._groups: dict[str, Group] = {}

    def open(self, name: str, size: int, ttl_ms: int, now: int) -> bool:
        if name in self._groups:
            return False
        self._groups[name] = Group(size, now + ttl_ms)
        return True

    def arrive(self, name: str, job_id: str) -> bool:
        group = self._groups.get(name)
        if group is None:
            return False
        if job_id not in group.members:
            group.members.add(job_id)
            if len(group.members) == group.size:
                group.last = job_id
        return group.last == job_id

    def forget(self, now: int) -> None:
        for name in [name for name, group in self._groups.items() if group.ends <= now]:
            del self._groups[name]
