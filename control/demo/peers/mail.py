"""A mailbox of genuine RFC 822 messages, the same for the same seed, written as a Maildir."""

import hashlib
from pathlib import Path
from random import Random

from control.demo.peers.mail_broken import BROKEN
from control.demo.peers.mail_kinds import KINDS, Moment

# How the kinds share the mailbox; about one in fourteen breaks some rule, as in real ones.
_WEIGHTS = {
    "plain": 5,
    "thread": 7,
    "newsletter": 4,
    "invoice": 3,
    "photos": 1,
    "bounce": 1,
    "list": 4,
    "alert": 2,
}
_BROKEN_EVERY = 14
_FLAGS = ("", "", "S", "S", "S", "RS", "FS", "F")


def messages(count: int = 400, seed: int = 1) -> list[bytes]:
    """`count` messages in the order they arrived, with LF line ends."""
    random = Random(seed)  # noqa: S311 - variety, not secrecy
    moment = Moment(random)
    names, weights = list(_WEIGHTS), list(_WEIGHTS.values())
    found: list[bytes] = []
    for number in range(count):
        moment.advance(number)
        if number % _BROKEN_EVERY == _BROKEN_EVERY - 1:
            build = BROKEN[(number // _BROKEN_EVERY) % len(BROKEN)]
            found.append(build(moment))
        else:
            # The first messages show each kind once, so that a small mailbox has them all.
            kind = names[number] if number < len(names) else random.choices(names, weights)[0]
            found.append(KINDS[kind](moment))
    return found


def write_maildir(path: Path | str, count: int = 400, seed: int = 1) -> int:
    """Write `count` messages into a new Maildir at `path`, UIDs 1 to `count`; return the bytes written.

    Raises FileExistsError if there is a mailbox already.
    """
    root = Path(path)
    for folder in ("cur", "new", "tmp"):
        (root / folder).mkdir(parents=True, exist_ok=folder != "cur")
    random = Random(seed)  # noqa: S311
    lines, total = [], 0
    for uid, message in enumerate(messages(count, seed), start=1):
        name = f"{1_767_225_600 + uid * 60}.M{uid:06d}P1.callboard:2,{random.choice(_FLAGS)}"
        (root / "cur" / name).write_bytes(message)
        lines.append(f"{uid} :{name}\r\n")
        total += len(message)
    # The UID list in Dovecot's format, for the server: else UIDs would follow the folder's hash order.
    guid = hashlib.sha256(f"callboard mailbox {seed}".encode()).hexdigest()[:32]
    head = f"3 V{1_700_000_000 + seed} N{count + 1} G{guid}\r\n"
    (root / "dovecot-uidlist").write_bytes((head + "".join(lines)).encode())
    return total
