"""What the server tells of itself: its CPU, its memory, and the commands that clients send."""

import time
from typing import Any

import redis

#: The command that ends the reading of the monitor.
_END = "ECHO end-of-window"


def cpu_s(server: "redis.Redis") -> float:
    """CPU seconds of the server so far, user and system."""
    info: dict[str, Any] = server.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def used_memory(server: "redis.Redis") -> int:
    """Bytes, after what was removed before has really been freed."""
    while server.info("memory").get("lazyfree_pending_objects"):
        time.sleep(0.01)
    return int(server.info("memory")["used_memory"])


def client_commands(server: "redis.Redis", seconds: float) -> list[str]:
    """The names of all commands that other clients send in so many seconds.

    A monitor counts, because the server's own statistics count what a script calls as well. Commands that
    are sent together count each.
    """
    names: list[str] = []
    with server.monitor() as monitor:  # type: ignore[no-untyped-call]
        time.sleep(seconds)
        # The connection of this may be new, so it introduces itself first.
        with server.client() as marker:  # type: ignore[no-untyped-call]
            marker.execute_command(*_END.split())
            own = marker.client_info()["addr"]
        while (said := monitor.next_command())["command"] != _END:
            if said["client_type"] != "lua" and f"{said['client_address']}:{said['client_port']}" != own:
                names.append(said["command"].partition(" ")[0].upper())
    return names
