"""The documentation: a page without scripts, and an OpenAPI document that says what is so."""

import json

import pytest
from jsonschema import Draft202012Validator

from control.api.keys import KeyFile
from jobs.memory import MemoryStore
from tests.control.asking import SYNC, post
from tests.control.board import small_app
from tests.control.serving import serving


def test_the_documentation_needs_no_network_and_no_script(api):
    page = api.get("/docs").text

    assert "<script" not in page
    assert "https://" not in page
    assert "/api/v1/jobs" in page
    assert "email_sync.arguments" in page


def test_the_documentation_can_be_switched_off(tmp_path, bare):
    app = small_app(MemoryStore(), tmp_path, api={"docs": False})
    KeyFile(tmp_path).ensure()

    with serving(app) as url:
        assert bare.get(f"{url}/docs").status_code == 404
        assert bare.get(f"{url}/openapi.json").status_code == 404


class TestOpenApi:
    @pytest.fixture
    def document(self, api):
        return api.get("/openapi.json").json()

    def test_it_is_a_valid_document_whose_references_all_lead_somewhere(self, document):
        assert document["openapi"].startswith("3.1")
        schemas = document["components"]["schemas"]
        for schema in schemas.values():
            Draft202012Validator.check_schema(schema)
        text = json.dumps(document)
        for reference in text.split('"$ref": "')[1:]:
            assert reference.partition('"')[0].removeprefix("#/components/schemas/") in schemas

    def test_every_call_under_api_asks_for_the_bearer_key(self, document):
        assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
        for path, methods in document["paths"].items():
            for operation in methods.values():
                assert bool(operation.get("security")) == path.startswith("/api/")

    def test_it_holds_the_arguments_of_every_actor(self, document, served):
        schemas = document["components"]["schemas"]
        assert set(schemas["email_sync.arguments"]["properties"]) == {"user_id", "account_id", "full"}
        for actor in served[0].broker.actors:
            assert f"{actor}.arguments" in schemas

    def test_every_request_of_an_operator_has_an_example_that_fits_its_schema(self, document):
        schemas = document["components"]["schemas"]
        seen = 0
        for methods in document["paths"].values():
            for operation in methods.values():
                body = operation.get("requestBody", {}).get("content", {}).get("application/json")
                if not body or "NewJobRequest" in str(body["schema"]):
                    continue
                seen += 1
                root = {**body["schema"], "components": {"schemas": schemas}}
                for example in body["examples"].values():
                    Draft202012Validator(root).validate(example["value"])
        assert seen >= 12

    def test_every_example_is_accepted(self, document, api):
        content = document["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            assert api.post("/api/v1/jobs", json=example["value"]).status_code == 201

    def test_answers_fit_the_schemas_that_are_documented(self, document, api):
        schemas = document["components"]["schemas"]
        location = post(api, queue="email-sync", data=SYNC).headers["location"]
        answers = {
            location: "JobView",
            f"{location}/progress": "ProgressView",
            "/api/v1/queues/email-sync/metrics": "QueueMetrics",
            "/api/v1/queues/health": "QueuesHealth",
            f"{location}/why": "WhyView",
            "/api/v1/queues/email-sync/limits": "RulesView",
            "/nowhere": "ErrorBody",
        }
        for path, name in answers.items():
            root = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
            Draft202012Validator(root).validate(api.get(path).json())

    def test_the_documented_errors_are_the_real_ones(self, document):
        """Each status here is provoked by a test above."""
        statuses = {
            (path, status)
            for path, methods in document["paths"].items()
            for operation in methods.values()
            for status in operation["responses"]
        }
        jobs, metrics = "/api/v1/jobs", "/api/v1/queues/{queueName}/metrics"
        assert {status for path, status in statuses if path == jobs} == {
            *("200", "201", "400", "401", "404", "409", "413", "415", "422", "500", "503")
        }
        assert {status for path, status in statuses if path == metrics} == {"200", "401", "404", "500", "503"}
