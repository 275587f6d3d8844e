"""`callboard up`: server, workers and API in one terminal, each restarted when it dies.

A child runs in a session of its own, so that Ctrl-C reaches the supervisor alone, which then stops
them in order: API and workers first (they drain), the embedded server last.
"""
