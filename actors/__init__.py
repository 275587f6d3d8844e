"""The composition root: `dramatiq actors` imports this, and so does every producer.

Importing does no I/O: settings are read, the broker is put together, every module of this folder is
imported so that its actors are declared. Redis and the database are looked for at their first use.
"""

import pkgutil
import sys
from importlib import import_module

import dramatiq

from actors.composition import App, compose
from actors.logs import log_as_json
from settings import SettingsError

try:
    app: App = compose()
except SettingsError as error:
    if "dramatiq.cli" in sys.modules:
        sys.exit(f"callboard: {error}")  # a worker's log needs the sentence, not the traceback
    raise
dramatiq.set_broker(app.broker)

for _module in pkgutil.iter_modules(__path__):
    if _module.name not in ("composition", "declare", "logs"):
        import_module(f"{__name__}.{_module.name}")

app.check()
if app.settings.env == "production":
    log_as_json()
