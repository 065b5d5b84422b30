"""The privacy desk, the audit log, offers and policy: who may do what."""

import re
from datetime import UTC, datetime

import httpx

from patron.answers.offers.policy_history import policy_text
from patron.commands.offers.propose_policy import propose_changes
from patron.commands.privacy.privacy_requests import open_request
from patron.govern.access.request_context import RequestContext
from patron.interfaces.console.screenshots import served
from patron.schema.access.access_rights import VISITOR, Actor, Role, rights_of_user

MAIL = "zoe.quixotic@example.org"
OLGA = Actor("Olga (user 0f)", rights_of_user([Role.PRIVACY_OFFICER]), user_id="0f")
BO = Actor("Bo (user b2)", rights_of_user([Role.APPROVER]), user_id="b2")
ADA = Actor("Ada (user a1)", rights_of_user([Role.MARKETER]), user_id="a1")
ADMIN = Actor("Root (user 01)", rights_of_user([Role.ADMIN]), user_id="01")


def propose(shop, amount):
    changes = {("budget", "amount"): amount}
    now = datetime.now(UTC)
    return propose_changes(
        RequestContext.from_name(shop, ADA.name, now=now), changes, base_version=shop.policy.version, note="春季"
    )


def test_the_form_says_what_is_wrong_next_to_the_field_and_keeps_what_was_typed(shop):
    with served(shop, ADA) as address, httpx.Client(base_url=address) as client:
        version = shop.policy.version
        form = {"base_version": version, "budget.amount": "lots", "holdout.share": "12", "offers.0.is_active": "1"}
        form["offers.1.is_active"] = "1"
        refused = client.post("/offers/edit", data=form)
        assert refused.status_code == 422
        assert "Enter an amount such as 1000.00" in refused.text
        assert 'value="lots"' in refused.text
        refused = client.post("/offers/edit", data=form | {"budget.amount": "1000.00", "holdout.share": "95"})
        assert "holdout.share must be at most 0.9" in refused.text
        refused = client.post("/offers/text", data={"content": policy_text(shop).replace("share = 0.10", "share = 7")})
        assert refused.status_code == 422
        assert re.search(r"Line \d+:</b> holdout\.share must be at most 0\.9", refused.text)
        taken = client.post("/offers/edit", data=form | {"budget.amount": "1000.00", "note": "more <b>control</b>"})
        assert (taken.status_code, taken.headers["location"]) == (303, "/offers/proposals/1?notice=proposed")
        page = client.get("/offers/proposals/1").text
        assert "more &lt;b&gt;control&lt;/b&gt;" in page
        assert "Approve and put in force" not in page
        assert client.post("/offers/proposals/1/approval").status_code == 403
        twin = client.get("/api/policy/proposals/1").json()
        assert [(change["section"], change["key"], change["new"]) for change in twin["changes"]] == [
            ("holdout", "share", 0.12)
        ]


def test_who_lacks_the_right_sees_nothing_and_who_only_reads_sees_nobody(shop):
    now = datetime.now(UTC)
    request_id = open_request(
        RequestContext.from_name(shop, OLGA.name, now=now), "access", MAIL, words="Zoe asks", received_at=now
    )
    paths = ("/privacy", f"/privacy/requests/{request_id}", "/privacy/consents", "/privacy/processing", "/audit")
    for visitor, status in ((VISITOR, 401), (ADA, 403), (BO, 403)):
        with served(shop, visitor) as address, httpx.Client(base_url=address) as client:
            assert {client.get(path).status_code for path in paths} == {status}
            twins = ("/api/privacy/requests", *(f"/api{path}" for path in paths[1:]))
            assert {client.get(path).status_code for path in twins} == {status}
    with served(shop, ADMIN) as address, httpx.Client(base_url=address) as client:
        page = client.get(f"/privacy/requests/{request_id}")
        assert page.status_code == 200
        assert MAIL not in page.text
        assert "Zoe asks" not in page.text
        assert client.get(f"/privacy/requests/{request_id}/erasure").status_code == 403
        assert client.post(f"/privacy/requests/{request_id}/export").status_code == 403
        csv = client.get("/api/audit?format=csv")
        assert csv.headers["content-type"].startswith("text/csv")
        assert "privacy request received" in csv.text
        assert client.get("/api/audit?action=audit+log+exported").json()["entries"][0]["by"] == ADMIN.name
        assert client.get("/api/privacy/requests?format=csv").status_code == 403
