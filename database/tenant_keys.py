"""Where the tenants' wrapped keys are stored: the implementation of `jobs.wrapped_keys.WrappedKeys`.

What is stored is of no use without the fleet's key, and once it is deleted the fleet's key is of no use.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Engine, func, select, update

from database.dialects import insert_into
from database.engine import bare_connection, read_session, write_session
from database.errors import DatabaseOutdated, DatabaseUnavailable
from database.models import TenantKey
from jobs.wrapped_keys import WrappedKey

R = TypeVar("R")


class StoredTenantKeys:
    """All verbs raise DatabaseUnavailable. The tables of a SQLite file are made at the first use."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, tenant: str) -> WrappedKey | None:
        def read() -> WrappedKey | None:
            with read_session(self._engine) as session:
                row = session.get(TenantKey, tenant)
                return None if row is None else _key(row)

        return self._tried(read)

    def add(self, key: WrappedKey) -> WrappedKey:
        """Store the first key of a tenant; the one that is there when another process came first."""
        with write_session(self._engine) as session:
            values = {**key._asdict(), "made_at": datetime.now(UTC)}
            session.execute(insert_into(self._engine, TenantKey).values(**values).on_conflict_do_nothing())
            row = session.get(TenantKey, key.tenant)
            assert row is not None
            return _key(row)

    def renew(self, key: WrappedKey) -> bool:
        """Store another key for a tenant whose key was shredded; False when it was not."""
        changed = update(TenantKey).where(TenantKey.tenant == key.tenant, TenantKey.wrapped.is_(None))
        values = {**key._asdict(), "made_at": datetime.now(UTC), "shredded_at": None}
        with write_session(self._engine) as session:
            return bool(session.execute(changed.values(**values).returning(TenantKey.tenant)).first())

    def rewrap(self, before: WrappedKey, after: WrappedKey) -> bool:
        """Put `after` in the place of `before`; False when that has changed."""
        same = (
            TenantKey.tenant == before.tenant,
            TenantKey.number == before.number,
            TenantKey.fleet_key == before.fleet_key,
            TenantKey.wrapped.is_not(None),
        )
        changed = update(TenantKey).where(*same).values(fleet_key=after.fleet_key, wrapped=after.wrapped)
        with write_session(self._engine) as session:
            return bool(session.execute(changed.returning(TenantKey.tenant)).first())

    def shred(self, tenant: str) -> bool:
        """Delete the secret for ever; False when there was none. None is made for the tenant from then on.

        Raises DatabaseUnavailable also when it is deleted, but not yet out of a SQLite file."""
        return self._tried(lambda: self._shred(tenant))

    def wrapped_with(self, fleet_key: int) -> int:
        """How many are wrapped with a version."""
        wanted = select(func.count()).where(TenantKey.fleet_key == fleet_key, TenantKey.wrapped.is_not(None))

        def read() -> int:
            with read_session(self._engine) as session:
                return session.scalar(wanted) or 0

        return self._tried(read)

    def all_but(self, fleet_key: int, after: str | None, limit: int) -> list[WrappedKey]:
        """Those wrapped with any other version, by tenant."""
        wanted = select(TenantKey).where(TenantKey.fleet_key != fleet_key, TenantKey.wrapped.is_not(None))
        if after is not None:
            wanted = wanted.where(TenantKey.tenant > after)
        ordered = wanted.order_by(TenantKey.tenant).limit(limit)

        def read() -> list[WrappedKey]:
            with read_session(self._engine) as session:
                return [_key(row) for row in session.scalars(ordered)]

        return self._tried(read)

    def _shred(self, tenant: str) -> bool:
        now = datetime.now(UTC)
        sqlite = self._engine.dialect.name == "sqlite"
        with write_session(self._engine) as session:
            if sqlite:
                # Else the file would keep the bytes in a free place until something is written there.
                session.connection().exec_driver_sql("PRAGMA secure_delete=ON")
            there = session.get(TenantKey, tenant)
            had_one = there is not None and there.wrapped is not None
            if there is None or had_one:
                values = {"wrapped": None, "shredded_at": now}
                new = {"tenant": tenant, "number": 0, "fleet_key": 0, "made_at": now, **values}
                insert = insert_into(self._engine, TenantKey).values(**new)
                session.execute(insert.on_conflict_do_update(index_elements=["tenant"], set_=values))
        if sqlite and there is not None:
            self._write_the_file_anew(tenant)  # also when it was deleted before: that may have ended half way
        return had_one

    def _write_the_file_anew(self, tenant: str) -> None:
        """Else copies of the page may stay: in SQLite's log, and in free places of the file, also of before a
        rotation."""
        why = "another process reads it"
        try:
            with bare_connection(self._engine) as connection:
                connection.exec_driver_sql("VACUUM")
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
        except DatabaseUnavailable as error:
            busy, why = 1, str(error)
        if busy:
            raise DatabaseUnavailable(
                f"The key of tenant {tenant!r} is deleted, but the file of the database still holds it "
                f"({why}): shred it again when the file is free."
            )

    def _tried(self, verb: Callable[[], R]) -> R:
        try:
            return verb()
        except DatabaseOutdated:
            if self._engine.dialect.name != "sqlite":
                raise
        from database.migrations import migrate

        migrate(self._engine)  # a file of our own: whoever comes first makes its tables
        return verb()


def _key(row: TenantKey) -> WrappedKey:
    return WrappedKey(row.tenant, row.number, row.fleet_key, row.wrapped)
