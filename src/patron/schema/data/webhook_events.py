"""What webhooks report: each kind of event, declared once. Ids are opaque, and nothing says who a person is."""

from collections.abc import Mapping
from dataclasses import dataclass

TEST_EVENT = "webhook.test"
"""Kind of the event that tests an endpoint; it is sent on request only."""
MAX_CUSTOMERS = 500
"""Customer ids in one event; a segment that changes by more is reported in several."""
MAX_PARTS = 20
"""Events of one segment and run; what is beyond is counted, and read at /api/segments/{name}/members."""

TEXT: Mapping[str, str] = {"type": "string"}
TIME: Mapping[str, str] = {"type": "string", "format": "date-time"}
COUNT: Mapping[str, object] = {"type": "integer", "minimum": 0}
IDS: Mapping[str, object] = {"type": "array", "items": TEXT, "maxItems": MAX_CUSTOMERS}


@dataclass(frozen=True)
class WebhookEvent:
    """One kind of event."""

    name: str
    meaning: str
    data: Mapping[str, Mapping[str, object]]
    """JSON schema of each field."""
    example: Mapping[str, object]


RUN = {"run_id": TEXT, "as_of": TIME}
RUN_EXAMPLE = {"run_id": "2026-03-01", "as_of": "2026-03-01T00:00:00+00:00"}
MEMBERS = {"segment": TEXT, **RUN, "customer_count": COUNT, "part": COUNT, "part_count": COUNT, "customer_ids": IDS}
MEMBERS_EXAMPLE = {"segment": "at_risk_vip", **RUN_EXAMPLE, "customer_count": 1, "part": 1, "part_count": 1}
MEMBERS_EXAMPLE |= {"customer_ids": ["7f3a9c0b5d2e4f6188a1c3e5b7d90f24"]}
STEP = {"name": TEXT, "kind": {"type": "string", "enum": ["campaign", "journey"]}, "version": COUNT}
STEP_EXAMPLE = {"name": "spring", "kind": "campaign", "version": 3}
PROPOSAL, PROPOSAL_EXAMPLE = {"proposal_id": COUNT}, {"proposal_id": 12}
REQUEST = {"request_id": TEXT, "kind": TEXT, "due_at": TIME}
REQUEST_EXAMPLE = {"request_id": "5d41402abc4b", "kind": "erasure", "due_at": "2026-04-01T12:00:00+00:00"}
ALARM = {"type": "object", "properties": {"kind": TEXT, "subject": TEXT, "value": {"type": "number"}}}

WEBHOOK_EVENTS = (
    WebhookEvent("run.finished", "A run finished: scores, segments and decisions are new.", RUN, RUN_EXAMPLE),
    WebhookEvent("run.failed", "A run that was started in the console or by the schedule failed.",
                 {"job_id": TEXT}, {"job_id": "9f86d081884c7d65"}),
    WebhookEvent("segment.entered", "Customers entered a saved segment at a run.", MEMBERS, MEMBERS_EXAMPLE),
    WebhookEvent("segment.left", "Customers left a saved segment at a run.", MEMBERS, MEMBERS_EXAMPLE),
    WebhookEvent(
        "alarm.raised",
        "A run found an alarm of data, scores or calibration that the run before did not have.",
        {**RUN, "alarms": {"type": "array", "items": ALARM}},
        {**RUN_EXAMPLE, "alarms": [{"kind": "scores", "subject": "churn", "value": 0.31}]},
    ),
    WebhookEvent("campaign.started", "A campaign or journey began to send.", STEP, STEP_EXAMPLE),
    WebhookEvent("campaign.paused", "A campaign or journey was paused, by a person or by its limits.",
                 STEP, STEP_EXAMPLE),
    WebhookEvent("campaign.ended", "A campaign or journey ended.", STEP, STEP_EXAMPLE),
    WebhookEvent("campaign.measured", "The effect of a campaign or journey was measured.", STEP, STEP_EXAMPLE),
    WebhookEvent("policy.proposed", "Somebody proposed a change of the policy.", PROPOSAL, PROPOSAL_EXAMPLE),
    WebhookEvent("policy.approved", "A change of the policy was approved.", PROPOSAL, PROPOSAL_EXAMPLE),
    WebhookEvent("model.approved", "Somebody approved a model.",
                 {"model_version": TEXT}, {"model_version": "churn/2026-03-01"}),
    WebhookEvent("privacy.request_received", "A customer's request about their data was entered.",
                 REQUEST, REQUEST_EXAMPLE),
    WebhookEvent("privacy.request_due", "An open request about data is due within 3 days.", REQUEST, REQUEST_EXAMPLE),
)  # fmt: skip
"""Every kind an endpoint can choose, in the order in which the console lists them."""
EVENT_NAMES = tuple(event.name for event in WEBHOOK_EVENTS)
