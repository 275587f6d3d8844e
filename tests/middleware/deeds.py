"""What the actors of the tests about steps do."""

AT_ONCE = {"delay": 0}


class Deeds:
    """What was done, in order; fails at what it is told to, once each."""

    def __init__(self, *failing: str) -> None:
        self.done: list[str] = []
        self._failing = list(failing)

    def __call__(self, what: str) -> str:
        if what in self._failing:
            self._failing.remove(what)
            raise ConnectionError(what)
        self.done.append(what)
        return f"{what} done"
