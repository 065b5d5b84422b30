"""Requests and answers that the OpenAPI document shows, by method and path; a test checks them against the schemas."""

from typing import Any

from patron.service.collector import BATCH, HISTORY, SENSORS

AT = "2026-03-01T12:00:00Z"
CUSTOMER = "7f3a9c0b5d2e4f6188a1c3e5b7d90f24"
AT_RISK = {"field": "lifecycle_stage", "op": "in", "value": ["at_risk", "lapsed"]}
RULE = {"all": [AT_RISK, {"field": "value_decile", "op": ">=", "value": 8}]}
PRODUCT_VIEWED = {
    "type": "track",
    "event": "Product Viewed",
    "messageId": "9b2d7c1e",
    "userId": "42",
    "timestamp": AT,
    "properties": {"product_id": "p1"},
}
NEW_KEY = {
    "key": "pk_read_EXAMPLE",
    "key_id": "0a1b2c3d4e5f",
    "source": "dashboard",
    "kind": "read",
    "scopes": ["read:overview", "read:segments"],
    "expires_at": "2026-05-30T12:00:00Z",
}
STORED = {"success": True, "stored": 1, "duplicate": 0, "rejected": 0, "errors": []}
BODIES: dict[str, Any] = {
    "POST /api/customers/lookup": {"shop_id": "42"},
    "POST /api/decisions/lookup": {"shop_id": "42", "run": ""},
    "POST /api/people/forget": {"email": "fay@example.org"},
    "POST /api/people/export": {"user_id": "42"},
    "POST /api/people/explanation": {"user_id": "42"},
    "POST /api/segments/count": {"rule": RULE},
    "PUT /api/segments/{name}": {"rule": RULE, "note": "For the call list", "saved_by": "A. Lee"},
    "POST /api/campaigns/{name}/plan": {"by": "A. Lee"},
    "POST /api/campaigns/{name}/approve": {"by": "B. Chen", "version": 3},
    "POST /api/campaigns/{name}/pause": {"by": "A. Lee", "reason": "A price is wrong"},
    "POST /api/recommendations": {"scenario": "cart", "anonymous_id": "v-81", "product_ids": ["p30"], "k": 5},
    "POST /api/recommendations/batch": {"scenario": "message", "user_ids": ["42", "43"], "k": 3},
    "POST /api/keys": {"source": "dashboard", "kind": "read", "scopes": ["read:overview", "read:segments"], "days": 90},
    "POST /api/keys/{key_id}/rotate": {"overlap_hours": 24},
}
COLLECTOR_BODIES: dict[str, Any] = {
    "track": PRODUCT_VIEWED,
    "identify": {"messageId": "1f0c", "userId": "42", "traits": {"country": "DE"}, "timestamp": AT},
    "page": {"messageId": "2a9b", "anonymousId": "v-81", "name": "Home", "timestamp": AT},
    "screen": {"messageId": "3b7d", "anonymousId": "v-81", "name": "Basket", "timestamp": AT},
    "group": {"messageId": "4c1e", "userId": "42", "groupId": "g7", "timestamp": AT},
    "alias": {"messageId": "5d2f", "previousId": "v-81", "userId": "42", "timestamp": AT},
    BATCH: {"batch": [PRODUCT_VIEWED], "sentAt": AT},
    HISTORY: {"batch": [PRODUCT_VIEWED], "sentAt": AT},
    SENSORS: {"data": "eyJ0eXBlIjogInRyYWNrIn0=", "gzip": "0"},
}
"""Bodies of the collector by what a path takes."""
ANSWERS: dict[str, Any] = {
    "GET /health": {"status": "ok", "run_id": "2026-03-01", "trouble": "", "is_accepting": True},
    "GET /version": {"version": "0.2.0"},
    "GET /api/keys": [
        {
            "key_id": "0a1b2c3d4e5f",
            "source": "dashboard",
            "kind": "read",
            "created_at": AT,
            "revoked_at": None,
            "scopes": ["read:overview", "read:segments"],
            "expires_at": "2026-05-30T12:00:00Z",
            "used_at": AT,
            "created_by": "Ada Lee (user 5f4e3d2c1b0a)",
        }
    ],
    "POST /api/keys": NEW_KEY,
    "POST /api/keys/{key_id}/rotate": NEW_KEY,
    "POST /api/campaigns/{name}/approve": {"name": "spring", "version": 3, "state": "approved"},
    "POST /api/campaigns/{name}/pause": {"name": "spring", "version": 3, "state": "paused"},
    "POST /v1/track": {**STORED, "messageId": "9b2d7c1e"},
    "POST /v1/batch": STORED,
}
