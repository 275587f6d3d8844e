"""The API under a real uvicorn on a free loopback port."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from actors.composition import App
from control.api.serve import listen, server_of
from tests.waiting import eventually


@contextmanager
def serving(app: App) -> Iterator[str]:
    """The address of the API while it runs."""
    with listen("127.0.0.1", 0) as listener:
        server = server_of(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            eventually(lambda: server.started, timeout=60)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)
