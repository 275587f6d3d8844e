"""A job with private arguments: nobody reads them where they lie, and a tenant's key is shredded."""

import json
from pathlib import Path

import orjson

from control.demo.actors import demo_contract
from control.demo.scene import Part, Scene
from control.demo.stage import DemoFailed
from control.service.keys import KeyActions
from database.audit_reader import AuditReader

TENANT = "nordwind"
CUSTOMER, ACCOUNT = "Jürgen Weiß", "DE89370400440532013000"


def play(scene: Scene) -> None:
    scene.begin("Private arguments are encrypted", "the actor marks them PII and Secret")
    contract = scene.sent(
        "contract",
        demo_contract.send_with_options(kwargs={"customer": CUSTOMER, "account": ACCOUNT}, tenant_id=TENANT),
    )
    scene.until_ended(contract)
    _search(scene, contract)
    read = scene.result(contract)
    if read != f"a contract for {CUSTOMER}, account ending in {ACCOUNT[-4:]}":
        raise DemoFailed(f"The worker did not read the private arguments: {read!r}.")
    scene.say(f"The worker read them: {read}.")
    _shred(scene, contract)


def _search(scene: Scene, contract: Part) -> None:
    """Look for the values in the job's record, and in whatever Redis, database and logs have written."""
    job, reader = scene.job(contract), AuditReader(scene.app.engine())
    scene.until(lambda: bool(reader.attempts(job.id)), "the contract has no audit row")
    stored = b"".join((job.payload, job.record or b"", job.progress or b""))
    files = _files(scene.stage.home)
    everything = b"".join([stored, *(file.read_bytes() for file in files)])
    private = [word.encode() for word in (CUSTOMER, ACCOUNT)] + [json.dumps(CUSTOMER)[1:-1].encode()]
    found, known = sum(map(everything.count, private)), everything.count(job.id.encode())
    if found or not known:
        raise DemoFailed(
            f"Of what is private {found} copies were found in clear; the job's id {known} times."
        )
    scene.say(
        f"Searched: its record, and {len(files)} files of Redis, database and logs. "
        f"The job's id is in them {known} times, the private arguments {found} times."
    )


def _shred(scene: Scene, contract: Part) -> None:
    scene.typed(f"callboard keys shred {TENANT} --confirm {TENANT}")
    KeyActions(scene.app, scene.by).shred(TENANT, TENANT)
    record = scene.app.broker.notes.opened(scene.job(contract)).record
    told = orjson.loads(record) if record else {}
    if "result" in told or "note" not in told:
        raise DemoFailed("The result can still be read after its tenant's key was shredded.")
    scene.say(f"The same result now: {told['note']}")


def _files(home: Path) -> list[Path]:
    found = [*home.glob("redis/**/*"), *home.glob("callboard.db*"), *home.glob("*.log")]
    return [file for file in found if file.is_file()]
