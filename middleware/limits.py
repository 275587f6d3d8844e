"""Limits that count while jobs run: of queues, tenants, users, all, and of resources that a job names.

    with limit("gmail:acct-7"):  # a permit of the limit `gmail`, given back at the end of the block
        ...
    limit("gmail:acct-7")        # the same for the rest of the run, or a token of a rate

In an `async def`: `async with limit(…)` and `await limit(…)`.

A job that may not run now goes back to its place without an attempt, and what waits for the same rests
with it. A job that no limit is for costs one look into a dictionary.
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import dramatiq

from jobs.errors import CallboardError, InvalidPayload, PermanentError
from jobs.failures import worded_without_values
from jobs.limits import (
    LARGEST_COST,
    Algorithm,
    By,
    Grant,
    LimitBook,
    LimitRule,
    ProviderRule,
    WaitScope,
    Want,
    check_resource,
)
from jobs.store import JobStore
from middleware.clear_names import quoted_in
from middleware.contract import contract_of
from middleware.current import running
from middleware.delivery import Delivery
from middleware.gates import GateTemplate, template_of
from middleware.permits import End, Permit, PermitToCome, on_an_event_loop
from middleware.under_way import UnderWay, under_way_of
from middleware.wants import provider_wants, refusal, want_of, whose_of

logger = logging.getLogger(__name__)

#: A job may wait in its thread for what is there so soon; it is called earlier by half of it. But only while
#: this part of the threads is free: waiting must not keep other jobs from starting.
PATIENCE_MS = 40
FREE_PART = 4


class Limiter(Protocol):
    """What `limit` asks."""

    def take(self, job: Delivery, resource: str, cost: int) -> End: ...

    def forgotten(self, job: Delivery, resource: str) -> None: ...


class Plan(NamedTuple):
    """What there is to ask for the jobs of one actor in one queue."""

    rules: tuple[LimitRule, ...]
    provider: ProviderRule | None
    cost: int | None
    gate: str  # that all of its jobs have
    any: bool  # whether there is something to ask for a job without options of its own


def limit(resource: str, cost: int = 1) -> "Permit":
    """Take a permit, or `cost` tokens, of a resource: the part before the colon names the limit.

    When there is none now, LimitReached ends the run: the job is held until there is, and starts anew then;
    nothing after this line has run. As a context manager it gives a permit back at its end. On an event loop
    nothing is taken until it is awaited: `async with limit(…)`, or `await limit(…)`. Outside of a job it
    does nothing.

    Raises InvalidPayload for a resource that no limit is for, or of which the job already holds what there
    is; LeaseLost when another process has the job, or the run has ended; PermanentError for a plain `with`
    on an event loop.
    """
    rule, whose = check_resource(resource)
    cost = _checked_cost(cost)
    job = running.get()
    if job is None or job.limiter is None:
        return Permit()
    limiter: Limiter = job.limiter
    name = f"{rule}:{whose}"
    under_way = under_way_of(job)
    take = partial(_take, limiter, under_way, job, name, cost)
    if on_an_event_loop():
        return PermitToCome(name, take, partial(limiter.forgotten, job, name), under_way)
    return Permit(take(), under_way)


def _take(limiter: Limiter, under_way: UnderWay, job: Delivery, name: str, cost: int) -> End:
    with under_way.in_this_thread():  # nothing is taken for a run that has ended
        return limiter.take(job, name, cost)


class Limits(dramatiq.Middleware):
    """`book` holds the limits; `store` is asked for them. `threads` are those of this process: how many
    are free, and how many there are."""

    actor_options = {"cost"}  # noqa: RUF012  as Dramatiq asks for it

    def __init__(
        self,
        book: LimitBook,
        store: Callable[[], JobStore],
        threads: Callable[[], tuple[int, int]] = lambda: (0, 0),
    ) -> None:
        self._book = book
        self._store = store
        self._threads = threads
        self._plans: dict[tuple[str, str], Plan] = {}
        self._gates: dict[str, GateTemplate] = {}
        self._functions: dict[str, Callable[..., Any]] = {}  # of the actors
        self._requests = itertools.count(1)
        self._lock = threading.Lock()
        self._resources = book.has_resources

    # At send

    def after_declare_actor(self, broker: dramatiq.Broker, actor: "dramatiq.Actor[..., Any]") -> None:
        self._plans.clear()
        self._functions[actor.actor_name] = actor.fn
        self._gates.pop(actor.actor_name, None)
        if (template := template_of(actor)) is not None:
            self._gates[actor.actor_name] = template
        if (cost := actor.options.get("cost")) is not None:
            _checked_cost(cost)

    def before_enqueue(
        self, broker: dramatiq.Broker, message: "dramatiq.Message[Any]", delay: int | None
    ) -> None:
        template = self._gates.get(message.actor_name) if self._gates else None
        if template is not None and message.options.get("gate") is None:
            message.options["gate"] = template.of(message.args, message.kwargs)
        if "cost" in message.options:
            _checked_cost(message.options["cost"])

    # Before the run

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        job: Delivery = message
        job.limiter = self
        plan = self._plans.get((job.actor_name, job.queue_name))
        if plan is None:
            plan = self._plan(broker, job)
        options = job.options
        if not plan.any and "provider" not in options and not (self._resources and "gate" in options):
            return
        if wants := self._wants(plan, job):
            job.probe = self._acquire(job, wants).probe

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: Any,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        if message.limit_forgotten is not None and message.exception is None:
            message.verdict, message.follow = None, ()
            message.stuff_exception(message.limit_forgotten)
            message.fail()
        if message.brief:
            try:
                self._store().give_back(message.message_id, message.job.token, 0, queue=message.queue_name)
            except CallboardError as error:  # then they end with the delivery, a moment later
                logger.debug("%s", error)

    def _acquire(self, job: Delivery, wants: list[Want], request: int = 0) -> Grant:
        free, threads = self._threads()
        grant = self._store().acquire(
            job.owner,
            job.message_id,
            job.job.token,
            wants,
            queue=job.queue_name,
            request=request,
            patience_ms=PATIENCE_MS if free > 0 and free * FREE_PART >= threads else 0,
        )
        if not grant.granted:
            raise refusal(grant, in_run=request > 0)
        if grant.after_ms:
            time.sleep(grant.after_ms / 1000)
        if request == 0:
            job.brief = grant.brief
        return grant

    def _plan(self, broker: dramatiq.Broker, job: Delivery) -> Plan:
        options = broker.get_actor(job.actor_name).options
        rules, name = self._book.of_queue(job.queue_name), options.get("provider")
        gate = options.get("gate") or ""
        gate = "" if "{" in gate else gate
        plan = Plan(
            rules,
            self._book.provider(name) if name else None,
            options.get("cost"),
            gate,
            bool(rules or name or (gate and self._gate_rule(job.queue_name, gate))),
        )
        self._plans[job.actor_name, job.queue_name] = plan
        return plan

    def _gate_rule(self, queue: str, gate: str) -> LimitRule | None:
        name, colon, whose = gate.partition(":")
        return self._book.resource_rule(queue, name) if colon and whose else None

    def _wants(self, plan: Plan, job: Delivery) -> list[Want]:
        options, tenant = job.options, job.job.lane
        cost = options.get("cost") or plan.cost
        gate = options.get("gate", plan.gate) or ""
        wants = []
        for rule in plan.rules:
            whose, waits = "", WaitScope.QUEUE
            match rule.by:
                case By.QUEUE:
                    whose = job.queue_name
                case By.TENANT:
                    whose, waits = tenant, WaitScope.LANE
                case By.USER:
                    user = options.get("user_id")
                    if not user:
                        continue
                    whose = f"{tenant}/{user}"
                    waits = WaitScope.GATE if gate == f"user:{user}" else WaitScope.JOB
            wants.append(want_of(rule, whose, tenant, cost or rule.cost, waits))
        if gate and self._resources and (found := self._gate_rule(job.queue_name, gate)) is not None:
            wants.append(want_of(found, whose_of(found, gate), tenant, cost or found.cost, WaitScope.GATE))
        name = options.get("provider")
        provider = self._book.provider(name) if name else plan.provider
        if provider is not None:
            wants += provider_wants(provider, WaitScope.GATE if gate else WaitScope.LANE)
        return wants

    # In the run

    def take(self, job: Delivery, resource: str, cost: int) -> End:
        name = resource.partition(":")[0]
        rule = self._book.resource_rule(job.queue_name, name)
        if rule is None:
            raise InvalidPayload(
                f"there is no limit [limits.{name}] by resource for the queue {job.queue_name}."
            )
        self._check_name(job, resource)
        # A permit that the job has since its start, because this is its gate, is the one that is meant.
        if rule.algorithm is Algorithm.CONCURRENCY and resource == self._gate_of(job):
            return _ends_with_the_run
        cost = cost if cost > 1 else rule.cost
        want = want_of(rule, whose_of(rule, resource), job.job.lane, cost, WaitScope.JOB)
        store, token, queue = self._store(), job.job.token, job.queue_name
        with self._turn(job):  # the store takes what threads of one job ask for in the order of its numbers
            request = next(self._requests)
            self._acquire(job, [want], request)
        if rule.algorithm is not Algorithm.CONCURRENCY:
            return None
        return lambda: store.give_back(job.message_id, token, request, queue=queue)

    def forgotten(self, job: Delivery, resource: str) -> None:
        """The work was done without what it should wait for: whoever wrote it is told by its failure."""
        job.limit_forgotten = PermanentError(
            f"limit({resource!r}) was not awaited, so nothing was taken: on an event loop write "
            "`await limit(…)`, or `async with`."
        )

    def _gate_of(self, job: Delivery) -> str:
        plan = self._plans.get((job.actor_name, job.queue_name))
        return job.options.get("gate", plan.gate if plan is not None else "") or ""

    def _turn(self, job: Delivery) -> threading.Lock:
        with self._lock:
            turn: threading.Lock = job.limit_turn or threading.Lock()
            job.limit_turn = turn
            return turn

    def _check_name(self, job: Delivery, resource: str) -> None:
        """Jobs, tenants and people who look at them share the counters: their names are never encrypted."""
        contract = contract_of(job.actor_name, self._functions[job.actor_name])
        words, hidden = _OF_MARKED, contract.private_arguments(job.args, job.kwargs)
        if job.secret and not contract.private and resource != self._gate_of(job):
            # Nothing says which of them the queue is encrypted for. A gate is in clear already.
            words, hidden = _OF_ENCRYPTED, contract.arguments(job.args, job.kwargs)
            resource = resource.partition(":")[2]
        if hidden and (shown := quoted_in(resource, hidden)) is not None:
            raise worded_without_values(InvalidPayload(words.format(shown)))


_OF_MARKED = (
    "limit() was given a name with the value of {}, which is marked Secret or PII, and names of resources "
    "are stored in clear: name the resource by an id."
)
_OF_ENCRYPTED = (
    "limit() was given a name with the value of {}, and names of resources are stored in clear, while the "
    "arguments of this job are encrypted: mark those that are Secret or PII, and the others may be named."
)


def _ends_with_the_run() -> None:
    """There is nothing to give back at the end of the block, but the run must not end within it."""


def _checked_cost(cost: object) -> int:
    if not isinstance(cost, int) or isinstance(cost, bool) or not 1 <= cost <= LARGEST_COST:
        raise InvalidPayload(f"cost must be a whole number from 1 to {LARGEST_COST}.")
    return cost
