"""A request is worked off to its end, and nothing of a person stays in it once they are erased."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow as pa
import pytest
import sqlalchemy as sa

from patron.answers.access.audit_trail import verify_audit_log
from patron.answers.privacy.consent_trail import consent_trail
from patron.answers.privacy.privacy_desk import erasure_certificate, privacy_desk, privacy_request, request_content
from patron.answers.privacy.processing_register import TABLES_OF, personal_tables, processing_register
from patron.collect.loader import load_events
from patron.commands.customers.person_events import write_person_events
from patron.commands.privacy import privacy_requests as desk
from patron.commands.privacy.correct_personal_data import correct_personal_data
from patron.govern.access.audit_entries import AuditQuery, find_entries
from patron.govern.access.request_context import RequestContext
from patron.govern.customers.contact_cards import read_cards
from patron.govern.vault import Vault
from patron.schema.data.raw_events import RAW_EVENTS
from patron.schema.errors import BadPrivacyRequest, NotFound
from patron.schema.privacy.privacy_requests import due_time
from patron.schema.table_definition import TIME
from patron.schema.tables import EVENTS
from patron.storage.privacy.privacy_tables import PRIVACY_REQUESTS

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
MAIL, OFFICER = "Zoe.Quixotic@example.org", "Olga (user 0f)"


@pytest.fixture
def zoe(shop):
    """A shop that knows one customer."""
    rows = [
        {
            "event_id": f"e{number}",
            "name": name,
            "occurred_at": NOW - timedelta(days=9),
            "user_id": "zoe-1",
            "personal": json.dumps({"email": MAIL}),
            "properties": json.dumps(properties),
        }
        for number, (name, properties) in enumerate(
            [("User Identified", {}), ("Consent Given", {"purpose": "marketing"})]
        )
    ]
    columns = {
        field.name: pa.array([row.get(field.name) for row in rows], TIME if field.type == TIME else field.type)
        for field in RAW_EVENTS
    }
    load_events(shop, pa.table(columns), source="test", known="received", received_at=NOW - timedelta(days=9))
    return shop


def enter(shop, kind, identifier=MAIL, **fields):
    return desk.open_request(
        RequestContext.from_name(shop, OFFICER, now=NOW), kind, identifier, received_at=NOW, **fields
    )


def stored(shop):
    with shop.store.begin() as connection:
        return [dict(row) for row in connection.execute(sa.select(PRIVACY_REQUESTS)).mappings()]


def test_an_erasure_ends_with_a_certificate_and_empties_every_request_of_the_person(zoe):
    earlier = enter(zoe, "access", words="What do you know of Zoe?")
    request_id = enter(zoe, "erasure", MAIL.upper())
    assert privacy_request(zoe, request_id, now=NOW).masked_identifier == "Z•••@E•••"
    assert b"QUIXOTIC" not in stored(zoe)[1]["content"]
    preview = desk.preview_erasure(zoe, request_id)
    assert (preview.account_count, preview.address_count, preview.rows["events"]) == (1, 1, 2)
    certificate = desk.erase_person(RequestContext.from_name(zoe, OFFICER, now=NOW), request_id)
    shown = erasure_certificate(zoe, request_id)
    assert (shown.certificate_id, shown.by, shown.audit_hash) == (
        certificate.certificate_id,
        OFFICER,
        certificate.audit_hash,
    )
    assert shown.erased["privacy requests emptied"] == 2
    assert {(row["content"], row["customer_id"], row["state"]) for row in stored(zoe)} == {(None, None, "done")}
    assert erasure_certificate(zoe, earlier).certificate_id == certificate.certificate_id
    with pytest.raises(BadPrivacyRequest, match="closed"):
        desk.erase_person(RequestContext.from_name(zoe, OFFICER, now=NOW), request_id)
    again = enter(zoe, "access")
    assert request_content(zoe, again).match == "erased"
    desk.close_request(RequestContext.from_name(zoe, OFFICER, now=NOW), again)
    assert privacy_request(zoe, again, now=NOW).result == "erased"
    assert {row["content"] for row in stored(zoe)} == {None}
    assert verify_audit_log(zoe).problem == ""


def test_an_archive_holds_everything_as_json_and_csv(zoe):
    request_id = enter(zoe, "access", "zoe-1", words="all of it")
    archive = zipfile.ZipFile(
        io.BytesIO(desk.export_archive(RequestContext.from_name(zoe, OFFICER, now=NOW), request_id))
    )
    known = json.loads(archive.read("customer.json"))
    assert "zoe-1" in known["identifiers"].values()
    assert json.loads(known["tables"]["privacy_requests"][0]["content"])["words"] == "all of it"
    assert {"customer.json", "events.csv", "ledger_of_consents.csv"} <= set(archive.namelist())
    desk.close_request(RequestContext.from_name(zoe, OFFICER, now=NOW), request_id, note="sent by post")
    assert privacy_request(zoe, request_id, now=NOW).result == "answered"
    assert request_content(zoe, request_id).note == "sent by post"


def test_an_objection_is_an_entry_of_the_ledger_at_once(zoe):
    request_id = enter(zoe, "objection")
    desk.withdraw_consents(RequestContext.from_name(zoe, OFFICER, now=NOW), request_id, ["profiling", "marketing"])
    entries = consent_trail(zoe).entries
    assert [(entry.purpose, entry.is_granted) for entry in entries] == [
        ("profiling", False),
        ("marketing", False),
        ("marketing", True),
    ]
    assert privacy_request(zoe, request_id, now=NOW).result == "marketing,profiling"


def test_nobody_by_that_identifier_is_an_answer_and_leaves_nothing(shop):
    request_id = enter(shop, "erasure", "nobody@example.org")
    with pytest.raises(BadPrivacyRequest, match="nobody is known"):
        desk.erase_person(RequestContext.from_name(shop, OFFICER, now=NOW), request_id)
    desk.close_request(RequestContext.from_name(shop, OFFICER, now=NOW), request_id)
    assert [(row["result"], row["content"]) for row in stored(shop)] == [("nobody", None)]
    with pytest.raises(NotFound):
        erasure_certificate(shop, request_id)


def test_requests_are_due_in_a_month_and_overdue_ones_stand_first(shop):
    assert due_time(datetime(2026, 1, 31, tzinfo=UTC)) == datetime(2026, 2, 28, tzinfo=UTC)
    assert due_time(datetime(2026, 12, 5, tzinfo=UTC)) == datetime(2027, 1, 5, tzinfo=UTC)
    for received_at in (NOW, NOW - timedelta(days=40)):
        desk.open_request(RequestContext.from_name(shop, OFFICER, now=NOW), "access", "x", received_at=received_at)
    listed = privacy_desk(shop, now=NOW)
    assert [request.is_overdue for request in listed.requests] == [True, False]
    assert (listed.open_count, listed.overdue_count) == (2, 1)
    desk.reject_request(RequestContext.from_name(shop, OFFICER, now=NOW), listed.requests[0].request_id, "unfounded")
    assert [request.result for request in privacy_desk(shop, state="closed", now=NOW).requests] == ["unfounded"]


def test_the_register_names_every_table_with_data_of_people(shop):
    assert {table for tables in TABLES_OF.values() for table in tables} >= personal_tables()
    assert all(activity.classes for activity in processing_register(shop).activities)


def test_a_deadline_is_extended_once_in_the_first_month_with_a_reason(zoe):
    request_id = enter(zoe, "access")
    with pytest.raises(BadPrivacyRequest, match="no reason"):
        desk.extend_deadline(RequestContext.from_name(zoe, OFFICER, now=NOW), request_id, "busy")
    assert desk.extend_deadline(RequestContext.from_name(zoe, OFFICER, now=NOW), request_id, "complex") == datetime(
        2026, 6, 30, 12, tzinfo=UTC
    )
    shown = privacy_request(zoe, request_id, now=NOW + timedelta(days=60))
    assert (shown.due_at, shown.extension, shown.is_overdue) == (
        datetime(2026, 6, 30, 12, tzinfo=UTC),
        "complex",
        False,
    )
    with pytest.raises(BadPrivacyRequest, match="extended already"):
        desk.extend_deadline(RequestContext.from_name(zoe, OFFICER, now=NOW), request_id, "many_requests")
    late = enter(zoe, "access")
    with pytest.raises(BadPrivacyRequest, match="deadline is over"):
        desk.extend_deadline(RequestContext.from_name(zoe, OFFICER, now=NOW + timedelta(days=31)), late, "complex")
    [entry] = find_entries(zoe, AuditQuery(action="privacy request extended"), 5)
    assert (entry.details, entry.by) == ({"request_id": request_id, "result": "complex"}, OFFICER)


def test_a_correction_is_what_counts_from_then_on_and_no_log_holds_its_value(zoe):
    request_id = enter(zoe, "rectification")
    for field, value in (("email", "zoe.new@example.org"), ("country", "PT")):
        correct(zoe, request_id, field, value)
    vault = Vault.open(zoe)
    token = vault.token("user_id", "zoe-1")
    assert read_cards(zoe.store, vault, [token])[token].email == "zoe.new@example.org"
    rows = zoe.lake.read(EVENTS).to_pylist()
    assert {row["traits"] for row in rows if row["name"] == "Identify"} == {None, '{"country":"PT"}'}
    assert vault.token("email", "zoe.new@example.org") in {row["email_token"] for row in rows}
    assert request_content(zoe, request_id).corrections == ("email: passport seen", "country: passport seen")
    entries = find_entries(zoe, AuditQuery(action="personal data corrected"), 5)
    assert [entry.details for entry in entries] == [
        {"request_id": request_id, "field": one} for one in ("country", "email")
    ]
    assert b"zoe.new" not in (zoe.folder / "store.db").read_bytes()
    assert privacy_request(zoe, request_id, now=NOW).state == "open"


def test_a_correction_writes_nothing_back_into_a_request_that_an_erasure_emptied_meanwhile(zoe, monkeypatch):
    request_id = enter(zoe, "rectification")
    close = partial(desk.reject_request, RequestContext.from_name(zoe, OFFICER, now=NOW), request_id, "unfounded")

    def write_while_it_closes(shop, rows, **options):
        write_person_events(shop, rows, **options)
        close()

    monkeypatch.setattr("patron.commands.privacy.correct_personal_data.write_person_events", write_while_it_closes)
    with pytest.raises(BadPrivacyRequest, match="is closed"):
        correct(zoe, request_id, "country", "PT")
    assert request_content(zoe, request_id).corrections == ()


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("email", "not an address", "not a valid"),
        ("phone", "000-0000", "not a valid"),
        ("gender", "x", "cannot be corrected"),
        ("country", " ", "missing"),
    ],
)
def test_a_correction_that_cannot_be_is_refused(zoe, field, value, what):
    with pytest.raises(BadPrivacyRequest, match=what):
        correct(zoe, enter(zoe, "rectification"), field, value)
    with pytest.raises(BadPrivacyRequest, match="not for a correction"):
        correct(zoe, enter(zoe, "access"), "country", "PT")


def correct(shop, request_id, field, value):
    correct_personal_data(
        RequestContext.from_name(shop, OFFICER, now=NOW), request_id, field, value, reason="passport seen"
    )
