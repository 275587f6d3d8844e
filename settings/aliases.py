"""The names that the requirement documents use, and the actor each one means here.

The first key is their queue name (its case counts first: S1's `email` syncs, S4's `EMAIL` sends), the second
their job name in the form of `job_key`; `*` takes every job name.
"""

from collections.abc import Mapping

ANY = "*"

TABLE: Mapping[str, Mapping[str, str]] = {
    # S0
    "voice-processing": {ANY: "voice_call"},
    "pdf-generation": {ANY: "pdf_generate"},
    "workflow-execution": {ANY: "workflow_run"},
    "webhook-delivery": {ANY: "webhook_deliver"},
    # S1
    "email": {"email_sync": "email_sync", "email_draft": "email_draft"},
    "voice": {ANY: "voice_call"},
    "seo": {"seo_audit": "seo_audit", "keyword_analysis": "keyword_analysis"},
    "ads": {"ad_analysis": "ad_analysis", "ad_automation": "ad_automation"},
    "enrichment": {ANY: "lead_enrichment"},
    "workflow": {ANY: "workflow_run"},
    "memory": {
        "memory_cleanup": "memory_cleanup",
        "memory_consolidation": "memory_consolidate",
        "cleanup": "memory_cleanup",
        "consolidation": "memory_consolidate",
    },
    "memory_consolidation": {ANY: "memory_consolidate"},
    # S2
    "ingest": {ANY: "content_ingest"},
    "reembed": {ANY: "content_reembed"},
    "sync": {ANY: "content_sync"},
    # S3
    "critical": {ANY: "critical_alert"},
    "document-processing": {
        "ocr": "document_ocr",
        "classify": "document_classify",
        "classification": "document_classify",
        "extract": "document_extract",
        "extraction": "document_extract",
        "scan": "document_scan",
        "virus_scan": "document_scan",
        "thumbnail": "document_thumbnail",
    },
    "ai-processing": {
        "insights": "ai_insights",
        "financial_insights": "ai_insights",
        "classify_transactions": "ai_classify_transactions",
        "transaction_classification": "ai_classify_transactions",
        "cash_flow": "ai_cash_flow",
        "cash_flow_prediction": "ai_cash_flow",
        "anomalies": "ai_anomalies",
        "anomaly_detection": "ai_anomalies",
    },
    "reports": {ANY: "report_generate", "export": "data_export", "data_export": "data_export"},
    "emails": {ANY: "email_send"},
    "webhooks": {ANY: "webhook_receive"},
    "integrations": {ANY: "integration_sync"},
    "maintenance": {
        "logs": "maintenance_logs",
        "log_cleanup": "maintenance_logs",
        "database": "maintenance_database",
        "database_optimization": "maintenance_database",
        "cache": "maintenance_cache",
        "cache_clearing": "maintenance_cache",
        "locks": "maintenance_locks",
        "lock_cleanup": "maintenance_locks",
    },
    "scheduled": {
        "daily_reports": "scheduled_reports",
        "invoice_reminders": "scheduled_reminders",
        "task_reminders": "scheduled_reminders",
        "data_sync": "scheduled_sync",
    },
    # S4
    "WORKFLOW": {ANY: "workflow_run"},
    "TOOL_EXECUTION": {ANY: "tool_execution"},
    "LLM_REQUESTS": {ANY: "llm_request"},
    "NOTIFICATIONS": {ANY: "notification"},
    "WEBHOOKS": {ANY: "webhook_deliver"},
    "EMAIL": {ANY: "email_send"},
    "DATA_PROCESSING": {ANY: "data_processing"},
    "CACHE_WARMUP": {ANY: "cache_warmup"},
    "DEAD_LETTER": {ANY: "dead_letter"},
}


def job_key(name: str) -> str:
    """`document:OCR` -> `ocr`: lower case, underscores, without the part before the colon."""
    return name.rpartition(":")[2].strip().lower().replace("-", "_")
