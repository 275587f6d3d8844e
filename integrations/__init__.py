"""Clients of the outside world. Nothing here knows of Dramatiq, queues or jobs; nothing here retries."""
