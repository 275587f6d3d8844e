from tests.fundamentals.stage import app, empty_database, home, jobs, policies, real_app, running_worker

__all__ = ["app", "empty_database", "home", "jobs", "policies", "real_app", "running_worker"]
