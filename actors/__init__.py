"""The composition root: `dramatiq actors` imports this, and so does every producer.

Importing does no I/O: settings are read, the broker is put together, every module of this folder is
imported so that its actors are declared. Redis and the database are looked for at their first use.
"""

import dramatiq

from actors.composition import App, compose, refuse_to_boot
from actors.loading import import_actors
from actors.logs import set_up_logs
from settings import SettingsError

try:
    app: App = compose()
except SettingsError as error:
    refuse_to_boot(error)
dramatiq.set_broker(app.broker)

try:
    import_actors(__name__, __path__)
    app.check()
except SettingsError as error:
    refuse_to_boot(error)

#: Send many messages in few round trips: `send_many([email_sync.message(…), …], delay=ms)`.
send_many = app.broker.enqueue_many

set_up_logs(as_json=app.settings.logs_as_json)
