"""The HTTP API: a thin face of the service. Routers by subject, one error shape, one bearer key.

`application.create_api` makes it, `serve.serve` runs it. Nothing is imported here, because key file and
listening address are used without FastAPI, too.
"""
