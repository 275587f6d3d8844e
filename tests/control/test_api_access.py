"""Who may ask: the key, and what is told without it."""

import pytest

from control.api.keys import KeyFile
from tests.control.asking import error_of
from tests.control.serving import serving


def test_healthz_needs_no_key_and_tells_nothing(api, bare):
    response = bare.get(f"{api.base_url}/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "header",
    [None, "Bearer wrong", "Bearer", "Basic dTpw", "Bearer x y", "Bearer schlüssel".encode()],
)
@pytest.mark.parametrize("path", ["/api/v1/jobs/x", "/api/v1/queues/health", "/api/nothing"])
def test_without_the_right_key_everything_is_refused(api, bare, path, header):
    headers = {} if header is None else {"Authorization": header}

    response = bare.get(f"{api.base_url}{path}", headers=headers)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert error_of(response).code == "unauthorized"


def test_a_body_is_not_looked_at_before_the_key(api, bare):
    response = bare.post(f"{api.base_url}/api/v1/jobs", content=b"{not json")

    assert response.status_code == 401


def test_after_a_rotation_only_the_new_key_opens(bare, app):
    keys = KeyFile(app.settings.home)
    old = keys.ensure()

    with serving(app) as url:
        new = keys.rotate()

        def status(key):
            headers = {"Authorization": f"Bearer {key}"}
            return bare.get(f"{url}/api/v1/queues/health", headers=headers).status_code

        assert (status(old), status(new)) == (401, 200)


def test_every_answer_carries_the_security_headers(api):
    for path in ("/healthz", "/docs", "/api/v1/jobs/x", "/nowhere"):
        headers = api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
