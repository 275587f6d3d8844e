"""Limits that count while the platform runs, on Redis: one script takes several at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgpack

from broker.redis.link import Link
from jobs.limits import (
    BREAKER_RULE,
    MARK,
    Algorithm,
    BreakerTerms,
    Grant,
    LimitRule,
    LimitState,
    News,
    ProviderState,
    Terms,
    WaitScope,
    Want,
    check_limit_changes,
    key_of,
)
from jobs.store import JobStore

#: What one call wakes when a limit was changed.
WAKE_CHUNK = 200
_SEP = "\x1f"
#: Answers of `acquire`, besides a refusal.
_GRANTED, _STANDS_BY, _LOST, _OWN = 1, 2, -1, -2
_STATES = {b"closed": "closed", b"open": "open", b"half": "half-open"}


class RedisLimits(JobStore):
    """This part of the store; the rest is `redis_store` and `redis_operators`."""

    _link: Link

    def acquire(
        self,
        owner: str,
        job_id: str,
        token: int,
        wants: Sequence[Want],
        *,
        queue: str,
        request: int = 0,
        patience_ms: int = 0,
    ) -> Grant:
        packed = msgpack.packb([_pack(want) for want in wants])
        entries = self._link.keys.handed(job_id, token)
        argv: list[Any] = [owner, job_id, token, request, packed, patience_ms, entries]
        answer, wait, key, waits, probe, brief = self._ask(argv, queue)
        if answer == _STANDS_BY:
            if self._is_handed_over(entries, wait):
                return Grant(True, brief=True)
            argv[5] = 0
            answer, wait, key, waits, probe, brief = self._ask(argv, queue)
        if answer == _GRANTED:
            return Grant(True, probe=bool(probe), after_ms=wait / 1000, brief=bool(brief))
        if answer == _LOST:
            return Grant(False, lost=True)
        if answer == _OWN:
            return Grant(False, key=key.decode(), own=True)
        return Grant(False, wait, key.decode(), WaitScope(waits.decode()))

    def _ask(self, argv: Sequence[Any], queue: str) -> list[Any]:
        *answer, look, brief = (reply := self._link.run("acquire", argv))[:7]
        if look or len(reply) > 7:
            self.offer({*([queue] if look else ()), *(one.decode() for one in reply[7:])})
        return [*answer, brief]

    def _is_handed_over(self, entries: str, most_ms: int) -> bool:
        with self._link.talking() as opened:
            return opened.blocking.blpop([entries], timeout=most_ms / 1000) is not None

    def give_back(self, job_id: str, token: int, request: int, *, queue: str) -> None:
        self._offer_woken(self._link.run("give_back", [job_id, token, request]))

    def set_limit(self, rule: str, tenant: str | None, changes: Mapping[str, int | None]) -> None:
        check_limit_changes(changes)
        told = {name: False if value is None else value for name, value in changes.items()}
        field = rule if tenant is None else key_of(rule, tenant)
        looked_at = WAKE_CHUNK
        while looked_at == WAKE_CHUNK:
            looked_at, *queues = self._link.run("set_limit", [rule, field, msgpack.packb(told), WAKE_CHUNK])
            self._offer_woken(queues)

    def limit_changes(self) -> dict[tuple[str, str | None], dict[str, int]]:
        with self._link.talking() as opened:
            found: Any = opened.client.hgetall(self._link.keys.of("overrides"))
        changes = {}
        for field, packed in found.items():
            rule, mark, tenant = field.decode().partition(MARK)
            changes[rule, tenant if mark else None] = dict(msgpack.unpackb(packed))
        return changes

    def limit_states(
        self,
        rules: Sequence[LimitRule],
        tenant: str | None = None,
        limit: int = 1000,
        after: tuple[str, str, str] | None = None,
    ) -> list[LimitState]:
        packed = [_pack_rule(rule) for rule in sorted(rules, key=lambda rule: rule.name)]
        algorithms = {rule.name: rule.algorithm for rule in rules}
        found: list[LimitState] = []
        member: str | bytes = _SEP.join(["k", key_of(*after[:2]), after[2]]) if after else ""
        while packed and len(found) < limit:
            argv: list[Any] = [int(tenant is not None), tenant or "", limit - len(found), member, *packed]
            member, *reply = self._link.run("limit_states", argv)
            found += [_state(algorithms, reply[i : i + 9]) for i in range(0, len(reply), 9)]
            if not member:
                break
        return found

    def provider_news(
        self,
        name: str,
        news: News,
        terms: BreakerTerms,
        *,
        queue: str,
        wait_ms: int = 0,
        probe: bool = False,
    ) -> ProviderState:
        return self._provider_news(name, news.value, terms, wait_ms, probe)

    def reset_provider(self, name: str) -> None:
        self._provider_news(name, "reset", BreakerTerms(), 0)

    def provider_states(self, names: Sequence[str]) -> list[ProviderState]:
        if not names:
            return []
        reply = self._link.run("provider_states", [key_of(BREAKER_RULE, name) for name in names])
        rows = [reply[i : i + 6] for i in range(0, len(reply), 6)]
        return [
            ProviderState(name, _STATES[state], until or None, left, failures, share / 1000, waiting)
            for name, (state, until, left, failures, share, waiting) in zip(names, rows, strict=True)
        ]

    def _provider_news(
        self, name: str, what: str, terms: BreakerTerms, wait_ms: int, probe: bool = False
    ) -> ProviderState:
        told = {
            "failures": terms.failures,
            "window": terms.window_ms,
            "open": terms.open_ms,
            "longest": terms.longest_ms,
            "cut": round(terms.cut * 1000),
            "recover": terms.recover_ms,
        }
        argv = [key_of(BREAKER_RULE, name), what, wait_ms, msgpack.packb(told), WAKE_CHUNK, int(probe)]
        state, until, left, woken, *queues = self._link.run("provider_news", argv)
        self._offer_woken(queues)
        while woken == WAKE_CHUNK:
            # What it says is said; the others that wait are woken now.
            _, _, _, woken, *queues = self._link.run(
                "provider_news", [argv[0], "reset" if what == "reset" else "woken", *argv[2:]]
            )
            self._offer_woken(queues)
        return ProviderState(name, _STATES[state], until or None, left)

    def _offer_woken(self, queues: Sequence[bytes]) -> None:
        if queues:
            self.offer([queue.decode() for queue in queues])


def _pack(want: Want) -> list[Any]:
    key, rule, algorithm, terms, cost, tenant, waits, slows = want
    return [key, rule, algorithm.value, *terms, cost, tenant, waits.value, slows]


def _pack_rule(rule: LimitRule) -> bytes:
    tenants = {tenant: list(terms) for tenant, terms in rule.tenants.items()}
    row = ["", rule.name, rule.algorithm.value, *rule.terms, 1, "", "", rule.slows, tenants]
    packed: bytes = msgpack.packb(row)
    return packed


def _state(algorithms: Mapping[str, Algorithm], row: Sequence[Any]) -> LimitState:
    key, tenant, limit, per, burst, used, left, reset, waiting = row
    rule, _, whose = key.decode().partition(MARK)
    return LimitState(
        rule,
        whose,
        tenant.decode(),
        algorithms[rule],
        Terms(limit, per, burst),
        used,
        left,
        None if reset < 0 else reset,
        waiting,
    )
