"""Puts the rooms together: settings become rules, ports get their implementations, the broker its stack."""

import difflib
import sys
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from actors.audit_lag import AuditLag
from actors.extras import refuse_missing_extras
from actors.instruments import Instruments
from actors.limit_rules import limit_book
from actors.loading import refuse_missing_callbacks
from actors.notes import JobNotes
from actors.outcome_watch import OutcomeWatch
from actors.schedule_standing import ScheduleStanding
from actors.sealing import Sealing, is_private, refused_gauges
from broker.blobs import LargeArguments
from broker.broker import CallboardBroker
from broker.codec import Codec
from broker.groups import GroupBarriers
from broker.redis.connection import RedisAddress
from broker.redis.embedded import read_address
from broker.redis.topology import Topology
from broker.result_cache import CachedResults
from broker.results import JobResults
from broker.worker.lifecycle import WorkerProcess
from broker.worker.overruns import Overruns
from integrations.errors import PermanentFailure, TransientFailure
from jobs.backoff import Backoff
from jobs.error_lists import ErrorLists
from jobs.errors import InvalidPayload, KeyMissing, StoreUnavailable, UnknownActor
from jobs.letters import LetterRule
from jobs.model import Retention
from jobs.rules import QueueRules, Rate
from jobs.store import JobStore
from middleware.contract import Contract, contract_of
from middleware.marked import is_marked_class
from middleware.releases import worker_version
from middleware.stack import Ports, build_stack
from settings import Rate as PolicyRate
from settings import Settings, SettingsError, check_queues, key_list, load_settings

if TYPE_CHECKING:
    import dramatiq
    from sqlalchemy import Engine

    from database.chain import ChainKeys
    from jobs.blobs import BlobStore
    from jobs.events import EventSink


def compose(settings: Settings | None = None, store: JobStore | None = None) -> "App":
    """Make the application. No I/O but reading the settings.

    `store` is given by tests that run in memory; otherwise jobs are in Redis.
    """
    return App(settings or load_settings(), store)


def refuse_to_boot(error: SettingsError) -> NoReturn:
    """Raise it; under Dramatiq's own command end with the sentence, because a log needs no traceback."""
    if "dramatiq.cli" in sys.modules:
        sys.exit(f"callboard: {error}")
    raise error


class App:
    """What producers, workers and `control` stand on."""

    def __init__(self, settings: Settings, store: JobStore | None = None) -> None:
        refuse_missing_extras(settings)
        self.settings = settings
        self._rules: dict[str, QueueRules] = {}
        self._letters = _letter_rules(settings)
        self._engine: Engine | None = None
        self.instruments = Instruments(settings, lambda: self.broker.lifecycle.relays)
        self.audit_lag = AuditLag(lambda: self.topology if store is None else None)
        self.instruments.sources.append(self.audit_lag.gauges)
        self.sealing = Sealing(settings, self.engine)
        self.instruments.sources.append(lambda: refused_gauges(self.broker))
        overruns = Overruns()
        self.limits = limit_book(settings)
        ports = Ports(
            rules_of=self.rules_of,
            write_progress=lambda owner, updates: self.store.report_progress(
                owner, self.broker.notes.progress(updates)
            ),
            notes=JobNotes(lambda: self.broker),
            results=JobResults(lambda: self.store, lambda job: self.broker.notes.opened(job)),
            seal_inputs=self.sealing.inputs if store is None else None,
            permanent=(PermanentFailure,),
            retryable=(TransientFailure,),
            error_lists=ErrorLists(settings.retries.retryable, settings.retries.permanent),
            overruns=overruns,
            stuck_s=settings.workers.stuck_seconds,
            release=settings.release,
            limits=self.limits,
            store=lambda: self.store,
            threads=lambda: self.broker.lifecycle.threads,
            workers=lambda: self.store.workers(),
            cached_results=CachedResults(lambda: self.broker),
            barriers=GroupBarriers(lambda: self.store),
            webhooks=settings.webhooks.keys(),
            open_tracing=self.instruments.tracing if self.instruments.traces else None,
            tallies=self.instruments.tallies,
            serve_metrics=self.instruments.serve,
            open_sentry=self.instruments.sentry if self.instruments.alerts else None,
        )
        chosen = settings.middleware
        self.layers = build_stack(ports, chosen.without, chosen.extra, chosen.replace)
        workers, limit = settings.workers, settings.payload.max_bytes
        self.topology = Topology(self.redis_address, settings.redis.namespace, settings.redis.shards)
        self.broker = CallboardBroker(
            store or self.topology.store(),
            [layer.middleware for layer in self.layers if layer.middleware is not None],
            WorkerProcess(
                name=workers.id or "",
                version=worker_version(version("callboard"), settings.release),
                rules_of=self.rules_of,
                lease_ms=round(workers.lease_seconds * 1000),
                max_lost=workers.max_lost_leases,
                stop_s=workers.stop_seconds,
                threads=workers.threads,
                serves=self._serves,
                lease=self.topology.describe if store is None else None,
                sinks=self._sinks(),
                queues=lambda: self.settings.queues,
                overruns=overruns,
                ready=self._has_keys if store is None else lambda: None,
                weights={tenant: policy.weight for tenant, policy in settings.tenants.items()},
            ),
            # Tests in memory have no keys: nothing leaves their process.
            self.sealing.codec(limit) if store is None else Codec(limit, is_marked=is_marked_class),
            is_private,
            lambda codec: LargeArguments(self.blobs, codec, settings.blobs.max_bytes),
            ScheduleStanding(lambda: self.settings, self.engine).port,
            # What nobody checks has no types: there the arguments count as they were given.
            None if {"validation"} & {*chosen.without, *chosen.replace} else _taken_by,
        )

    @property
    def store(self) -> JobStore:
        """Where jobs are; tests may put another in its place."""
        return self.broker.store

    def rules_of(self, queue: str) -> QueueRules:
        """The rules of a queue, from its policy."""
        rules = self._rules.get(queue)
        if rules is None:
            rules = self._rules[queue] = self._rules_from_policy(queue)
        return rules

    def redis_address(self) -> RedisAddress:
        """REDIS_URL or REDIS_HOST…, else the server of a running `callboard up`. Raises StoreUnavailable."""
        url = self.settings.redis.effective_url()
        if url:
            return RedisAddress(url)
        running = read_address(self.settings.home)
        if running is None:
            raise StoreUnavailable(
                "There is no Redis to talk to: set REDIS_URL, or run `make up` in another shell."
            )
        return running

    def blobs(self) -> "BlobStore":
        """Where arguments are that are too large for Redis."""
        chosen = self.settings.blobs
        if chosen.store == "folder":
            from integrations.blob_folder import FolderBlobs

            return FolderBlobs(Path(chosen.folder) if chosen.folder else self.settings.home / "blobs")
        if chosen.store == "s3":
            from integrations.blob_bucket import Bucket, BucketBlobs

            secret = chosen.secret_key.get_secret_value() if chosen.secret_key else ""
            return BucketBlobs(
                Bucket(
                    chosen.bucket or "",
                    chosen.prefix,
                    chosen.endpoint or "",
                    chosen.region,
                    chosen.access_key or "",
                    secret,
                )
            )
        from database.blobs import DatabaseBlobs

        return DatabaseBlobs(self.engine)

    def engine(self) -> "Engine":
        """The database, opened at the first call."""
        if self._engine is None:
            from database.engine import make_engine

            self._engine = make_engine(self.settings.database_url)
        return self._engine

    def chain_keys(self) -> "ChainKeys":
        """What signs the chains of the audit."""
        from database.chain import ChainKeys
        from database.execution_rows import text_of

        audit = self.settings.audit
        since = text_of(audit.keyed_since) if audit.keyed_since else ""
        key = audit.key.get_secret_value() if audit.key else None
        return ChainKeys.of(key, key_list(audit.old_keys), since)

    def contract(self, actor_name: str) -> Contract:
        """What an actor accepts. Raises UnknownActor with the nearest name."""
        actor = self.broker.actors.get(actor_name)
        if actor is None:
            near = difflib.get_close_matches(actor_name, self.broker.actors, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise UnknownActor(f"There is no actor named {actor_name!r}{hint}")
        return contract_of(actor_name, actor.fn)

    def schema(self, actor_name: str) -> dict[str, Any]:
        """The JSON schema of an actor's arguments. Raises UnknownActor."""
        return self.contract(actor_name).schema()

    def validate(self, actor_name: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments by name, as the actor takes them. Raises UnknownActor and InvalidPayload."""
        if not isinstance(data, Mapping):
            raise InvalidPayload(f"{actor_name} takes its arguments by name, as an object.")
        return self.contract(actor_name).check((), data)[1]

    def check(self) -> None:
        """Once all actors are declared: refuse a policy for a queue that nobody has, and a callback that no
        actor takes. Raises settings.SettingsError."""
        check_queues(self.settings, self.broker.get_declared_queues())
        if "callbacks" not in self.settings.middleware.without:
            refuse_missing_callbacks(self.broker)

    # Inside

    def _rules_from_policy(self, queue: str) -> QueueRules:
        policy = self.settings.policy(queue)
        kept = policy.retention
        return QueueRules(
            concurrency=policy.concurrency,
            worker_rate=_starts(policy.per_worker_rate),
            global_concurrency=policy.effective_global_concurrency,
            rate=_starts(policy.rate),
            share=policy.share or "",
            priority=policy.priority,
            priority_scope=policy.priority_scope,
            fairness=policy.fairness,
            lane_concurrency=policy.tenant_concurrency,
            lane_rate=_starts(policy.tenant_rate),
            gate_concurrency=policy.gate_concurrency,
            gate_rate=_starts(policy.gate_rate),
            attempts=policy.attempts,
            backoff=Backoff(**policy.backoff.model_dump()),
            retry_for_ms=policy.retry_for_ms,
            timeout_ms=policy.timeout_ms,
            keep_completed=kept.completed_count,
            store_results=policy.results.store,
            result_bytes=policy.results.max_bytes,
            result_ms=policy.results.ttl_ms,
            retention=Retention(kept.completed_age_ms, kept.failed_age_ms, kept.failed_count),
            dead_letter=policy.dead_letter,
            letters=self._letters,
            id_memory_ms=policy.id_memory_ms,
            require_tenant=policy.require_tenant,
            encryption=policy.encryption,
            payload_blob=policy.payload_blob,
        )

    def _has_keys(self) -> None:
        try:
            self.sealing.seal.ready()
        except KeyMissing as error:
            refuse_to_boot(SettingsError(str(error)))

    def _serves(self, declared: Collection[str]) -> Collection[str] | None:
        """The queues of this worker's type. Dramatiq would take an empty set for all of them."""
        selected = self.settings.selected_queues(declared)
        if selected is None or selected:
            return selected
        groups = {self.settings.policy(queue).group for queue in declared}
        groups |= {
            group for group, queues in self.settings.groups.items() if not set(queues).isdisjoint(declared)
        }
        refuse_to_boot(
            SettingsError(
                f"workers.type (WORKER_TYPE) is {self.settings.workers.type!r}, which selects no queue "
                f"that has an actor here; these would serve something: {', '.join(['all', *sorted(groups)])}."
            )
        )

    def _sinks(self) -> "dict[str, Callable[[], EventSink]]":
        """The readers of the event stream. One is enough: callbacks are told on the way to the audit."""
        without = self.settings.middleware.without
        if "audit" not in without:
            return {"audit": self._audit_sink}
        return {} if "callbacks" in without else {"outcomes": lambda: OutcomeWatch(lambda: self.broker)}

    def _audit_sink(self) -> "EventSink":
        from database.audit import AuditWriter

        writer = self.audit_lag.watch(AuditWriter(self.engine(), self.chain_keys()))
        if "callbacks" in self.settings.middleware.without:
            return self.instruments.watched(writer)
        return self.instruments.watched(OutcomeWatch(lambda: self.broker, writer))


def _taken_by(
    actor: "dramatiq.Actor[..., Any]", args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    return contract_of(actor.actor_name, actor.fn).check(args, kwargs)


def _letter_rules(settings: Settings) -> tuple[LetterRule, ...]:
    return tuple(
        LetterRule(rule.to, rule.queue, rule.actor, rule.tenant, rule.error, rule.code, rule.attempts)
        for rule in settings.dead_letters.rules
    )


def _starts(rate: PolicyRate | None) -> Rate | None:
    return None if rate is None else Rate(rate.count, rate.ms)
