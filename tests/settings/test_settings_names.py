"""The requirement documents' names lead to the actor they mean."""

import pytest

from settings import Settings, SettingsError, UnknownName, queues_behind, resolve_name
from settings.aliases import TABLE
from settings.catalogue import QUEUES

MEANT = [
    # its own names
    ("email-sync", None, "email_sync"),
    ("email_sync", None, "email_sync"),
    ("email-sync", "email_sync", "email_sync"),
    ("EMAIL_SYNC", None, "email_sync"),
    # S0
    ("voice-processing", None, "voice_call"),
    ("pdf-generation", "any", "pdf_generate"),
    ("workflow-execution", None, "workflow_run"),
    ("lead-enrichment", None, "lead_enrichment"),
    # S1
    ("email", "email_sync", "email_sync"),
    ("email", "EMAIL_DRAFT", "email_draft"),
    ("voice", "VOICE_CALL", "voice_call"),
    ("seo", "SEO_AUDIT", "seo_audit"),
    ("seo", "KEYWORD_ANALYSIS", "keyword_analysis"),
    ("ads", "AD_ANALYSIS", "ad_analysis"),
    ("ads", "AD_AUTOMATION", "ad_automation"),
    ("enrichment", "LEAD_ENRICHMENT", "lead_enrichment"),
    ("workflow", "WORKFLOW_EXECUTION", "workflow_run"),
    ("WORKFLOW_EXECUTION", None, "workflow_run"),
    ("memory", "memory_consolidation", "memory_consolidate"),
    # S2
    ("ingest", None, "content_ingest"),
    ("reembed", None, "content_reembed"),
    ("sync", None, "content_sync"),
    # S3
    ("critical", "security", "critical_alert"),
    ("document-processing", "document:ocr", "document_ocr"),
    ("document-processing", "document_scan", "document_scan"),
    ("ai-processing", "ai:insights", "ai_insights"),
    ("reports", "report:monthly", "report_generate"),
    ("reports", "report:export", "data_export"),
    ("emails", "task_assignment", "email_send"),
    ("webhooks", "stripe", "webhook_receive"),
    ("integrations", None, "integration_sync"),
    ("maintenance", "maintenance:logs", "maintenance_logs"),
    ("scheduled", "scheduled:daily_reports", "scheduled_reports"),
    ("scheduled", "scheduled:task_reminders", "scheduled_reminders"),
    # S4
    ("WORKFLOW", "user_onboarding", "workflow_run"),
    ("TOOL_EXECUTION", None, "tool_execution"),
    ("LLM_REQUESTS", "gpt4_request", "llm_request"),
    ("llm_requests", None, "llm_request"),
    ("NOTIFICATIONS", None, "notification"),
    ("WEBHOOKS", None, "webhook_deliver"),
    ("EMAIL", "daily_digest", "email_send"),
    ("DATA_PROCESSING", None, "data_processing"),
    ("CACHE_WARMUP", "warmup_cache", "cache_warmup"),
]


@pytest.mark.parametrize(("queue", "job", "actor"), MEANT)
def test_a_name_of_the_documents_means_one_actor(queue, job, actor):
    assert resolve_name(Settings(), queue, job) == actor


def test_every_alias_leads_to_a_queue_of_the_catalogue():
    for jobs in TABLE.values():
        assert {actor.replace("_", "-") for actor in jobs.values()} <= QUEUES


@pytest.mark.parametrize(
    ("queue", "job", "sentence"),
    [
        ("email", None, "Queue 'email' fits several actors: name one of email_draft, email_sync."),
        ("reports", None, "Queue 'reports' fits several actors: name one of data_export, report_generate."),
        (
            "Email",
            None,
            "Queue 'Email' fits several actors: name one of email_draft, email_send, email_sync.",
        ),
        ("email-snyc", None, "Unknown queue 'email-snyc': did you mean email-sync?"),
        ("WORKFLOWW", None, "Unknown queue 'WORKFLOWW': did you mean WORKFLOW?"),
        ("email", "email_snyc", "Queue 'email' has no job 'email_snyc': did you mean email_sync?"),
        ("email-sync", "draft", "Queue 'email-sync' has no job 'draft': its only job is email_sync."),
        (
            "DEAD_LETTER",
            None,
            (
                "'DEAD_LETTER' is a dead-letter queue, where jobs come that failed for good: "
                "send to another queue."
            ),
        ),
    ],
)
def test_a_name_that_fits_none_or_several_is_refused_with_the_choices(queue, job, sentence):
    with pytest.raises(UnknownName) as caught:
        resolve_name(Settings(), queue, job)
    # Several names may be equally near when only their case differs.
    assert str(caught.value).lower() == sentence.lower()
    assert isinstance(caught.value, SettingsError)
    assert isinstance(caught.value, LookupError)


@pytest.mark.parametrize("ask", [resolve_name, queues_behind])
@pytest.mark.parametrize(
    ("queue", "hint"),
    [
        ("nosuchqueue", "known here: email-sync, my-jobs."),
        ("my_job", "did you mean my-jobs?"),
        ("email_sinc", "did you mean email-sync?"),
        ("WORKFLOWW", "did you mean WORKFLOW?"),  # not installed, but a name that the documents use
    ],
)
def test_an_unknown_queue_is_answered_with_the_queues_that_are_installed(ask, queue, hint):
    with pytest.raises(UnknownName) as caught:
        ask(Settings(), queue, declared=["my_jobs", "email_sync"])
    assert str(caught.value).lower() == f"Unknown queue {queue!r}: {hint}".lower()


def test_the_case_decides_and_without_it_the_actors_name_does():
    assert resolve_name(Settings(), "Email", "email_send") == "email_send"
    assert resolve_name(Settings(), "Email", "email_sync") == "email_sync"


def test_the_users_own_queues_and_aliases_are_names_too(load):
    settings = load("aliases.letters = 'email_send'\n[aliases.email]\nbulk = 'email_send'\n[queues.my-jobs]")
    assert resolve_name(settings, "letters", "whatever") == "email_send"
    assert resolve_name(settings, "email", "bulk") == "email_send"
    assert resolve_name(settings, "email", "email_sync") == "email_sync"
    assert resolve_name(settings, "my-jobs") == "my_jobs"
    assert resolve_name(settings, "invoices", declared=["invoices"]) == "invoices"
    with pytest.raises(UnknownName):
        resolve_name(settings, "invoices")


def test_the_numbers_of_a_documents_queue_are_those_of_all_queues_behind_it():
    settings = Settings()
    assert queues_behind(settings, "email") == ("email-draft", "email-sync")
    assert queues_behind(settings, "voice") == ("voice-call",)
    assert queues_behind(settings, "email-sync") == ("email-sync",)
    assert queues_behind(settings, "DEAD_LETTER") == ("dead-letter",)
    assert queues_behind(settings, "my_jobs", ["my_jobs"]) == ("my_jobs",)
    with pytest.raises(UnknownName, match="did you mean email-sync"):
        queues_behind(settings, "email-snyc")
