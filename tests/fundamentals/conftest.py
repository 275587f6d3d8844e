from tests.fundamentals.stage import app, home, jobs, policies, real_app, running_worker

__all__ = ["app", "home", "jobs", "policies", "real_app", "running_worker"]
