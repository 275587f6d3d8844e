"""For how long nobody was seen who could take what this process meets and cannot run itself."""

#: What was not met for so long, in seconds, is met for the first time again.
FORGET_S = 3_600.0


class Sightings:
    """By kind of job, not by job: after a minute all jobs of a kind are decided alike, however many there are
    and whichever of them a process happens to meet. At most `most` kinds are remembered. Times are monotonic
    seconds."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._kinds: dict[tuple[object, ...], tuple[float, float]] = {}  # seen or first met, and last met

    def __len__(self) -> int:
        return len(self._kinds)

    def met(self, kind: tuple[object, ...], now: float, *, seen: bool) -> float:
        """One more such job was met; `seen`: somebody is there who may take it. Returns the seconds since
        one was seen, or since the first such job was met if that is later."""
        since, last = self._kinds.pop(kind, (now, now))
        if seen or now - last > FORGET_S:
            since = now
        self._kinds[kind] = since, now
        if len(self._kinds) > self._most:
            del self._kinds[next(iter(self._kinds))]  # the one that was not met for longest
        return now - since
