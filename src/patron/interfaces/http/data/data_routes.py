"""Data for programs: runs, jobs, imports, uploads, quality, webhooks; and what arrives, as this server counts it."""

from datetime import UTC, datetime

from fastapi import Request

from patron.answers.data.data_quality import data_quality, show_imports
from patron.answers.data.ingestion_status import IngestionStatus
from patron.answers.data.ingestion_status import ingestion_status as status_of_ingestion
from patron.answers.data.run_history import compare_runs, list_runs, run_detail, show_job
from patron.answers.data.webhook_log import find_delivery, list_deliveries, list_webhooks
from patron.commands.data.manage_webhooks import (
    add_webhook,
    change_webhook,
    delete_webhook,
    disable_webhook,
    enable_webhook,
    rotate_webhook_secret,
)
from patron.commands.data.send_webhooks import resend_webhook, send_test_event
from patron.commands.data.uploaded_files import look_into_upload
from patron.interfaces.http.access.access_control import needs
from patron.interfaces.http.answer_cache import answers_of
from patron.interfaces.http.operation_routes import operation_routes
from patron.schema.access.access_rights import Action, Area
from patron.schema.data.collector_state import CollectorState

router = operation_routes(
    data_quality,
    show_imports,
    look_into_upload,
    list_runs,
    compare_runs,
    run_detail,
    show_job,
    list_webhooks,
    add_webhook,
    list_deliveries,
    change_webhook,
    delete_webhook,
    rotate_webhook_secret,
    enable_webhook,
    disable_webhook,
    send_test_event,
    find_delivery,
    resend_webhook,
)


@router.get("/api/collector")
@needs(Action.READ, Area.DATA)
def collector(request: Request) -> CollectorState:
    """What became of every message that arrived, by source."""
    return request.app.state.collector_state()


@router.get("/api/ingestion")
@needs(Action.READ, Area.DATA)
def ingestion(request: Request) -> IngestionStatus:
    """Counters, events and warnings of the last 30 days by source and name, and dead letters by reason."""
    state = request.app.state.collector_state()
    return status_of_ingestion(answers_of(request).shop, state, now=datetime.now(UTC))
