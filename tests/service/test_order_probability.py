"""The order probability of an open visit: after every event the number that a run's tables give, or none."""

import json
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made_visits import finish_run_with_model

from patron import predict, understand
from patron.clickstream import BoostedOrder, LogisticOrder, RateByLastEvent, training_rows
from patron.collect.inbox.compaction import compact_inbox
from patron.collect.inbox.workspace_inbox import open_inbox
from patron.collect.request import SourceRules, validate_batch
from patron.predict.session_conversion.past_sessions import past_sessions
from patron.schema.errors import NotFound
from patron.schema.tables import RECENT, TRAININGS
from patron.service.customer_lookup import lookup_customer
from patron.storage.runs.runs import Run
from patron.understand.facts import build_facts
from patron.understand.facts.interactions import KINDS

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = SourceRules(longest_event_bytes=32_768, needs_secret=frozenset(), is_secret=False)
NAMES = (*KINDS, "Order Completed", "Order Completed", "Something Else")


def put(shop, at, name, event_id, *, user=None, visitor=None, product="p1", order=None):
    properties = {"product_id": product, "order_id": order, "revenue": 10 if order else None}
    message = {"type": "track", "event": name, "messageId": event_id, "userId": user, "anonymousId": visitor}
    message |= {"timestamp": at.isoformat(), "properties": {key: one for key, one in properties.items() if one}}
    inbox = open_inbox(shop)
    inbox.append([validate_batch(json.dumps({"batch": [message]}).encode(), "web", at, OPEN)])
    inbox.close()


def probability(shop, shop_id, now):
    return lookup_customer(shop, shop_id, now=now).live.visit.order_probability


def visits(seed, count=70):
    """Times, names and people of random events: a user, a device that gets a user on the way, and a nameless one."""
    rng, at = np.random.default_rng(seed), START
    for number in range(count):
        at += timedelta(seconds=int(rng.choice([1, 20, 120, 700, 1_500, 3_000])))
        who = rng.choice(["user", "device", "nameless"])
        ids = {
            "user": {"user": "u1", "visitor": "d1" if rng.random() < 0.5 else None},
            "device": {"user": "u2" if number > count // 2 else None, "visitor": "d2"},
            "nameless": {"visitor": "d3"},
        }[who]
        name = str(rng.choice(NAMES))
        order = f"o{number}" if name == "Order Completed" else None
        product = None if order else f"p{rng.integers(3)}"
        yield at, name, f"e{number}", ids | {"product": product, "order": order}


@pytest.mark.parametrize("seed", [1, 3])
def test_the_live_number_is_that_of_the_runs_tables_after_every_event(shop, seed):
    fitted, live = finish_run_with_model(shop, START - timedelta(days=1)), {}
    for at, name, event_id, rest in visits(seed):
        put(shop, at, name, event_id, **rest)
        with suppress(NotFound):  # a first event that was rejected
            visit = lookup_customer(shop, rest.get("user") or rest["visitor"], now=at).live.visit
            if visit is not None and visit.last_at == at:  # else the event was none of a visit
                live[at.timestamp()] = visit.order_probability
    with shop.lock():
        compact_inbox(shop)
    run = Run.at(START + timedelta(days=30))
    build_facts(shop.view(understand.READS, understand.WRITES, run=run))
    rows = training_rows(past_sessions(shop.view(predict.READS, [], run=run)), most_prefixes=1_000)
    batch = dict(zip(rows["as_of"].to_pylist(), fitted.predict(rows)["forecast"].to_pylist(), strict=True))
    assert {at for at, value in live.items() if value is not None} == batch.keys()
    assert {at: live[at] for at in batch} == batch
    assert len(batch) > 30


@pytest.mark.parametrize("learner", [LogisticOrder(), BoostedOrder(), RateByLastEvent()])
def test_an_open_visit_has_the_probability_of_the_runs_model(shop, learner):
    finish_run_with_model(shop, START - timedelta(days=1), learner)
    put(shop, START, "Product Viewed", "a", user="u1")
    before = probability(shop, "u1", START)
    put(shop, START + timedelta(seconds=30), "Product Added", "b", user="u1")
    after = probability(shop, "u1", START + timedelta(minutes=1))
    assert 0 < before < after < 1


def test_a_closed_visit_has_none(shop):
    finish_run_with_model(shop, START - timedelta(days=1))
    put(shop, START, "Product Viewed", "a", user="u1")
    assert probability(shop, "u1", START + timedelta(minutes=29)) is not None
    assert probability(shop, "u1", START + timedelta(minutes=30)) is None


def test_a_visit_of_an_order_alone_has_none(shop):
    finish_run_with_model(shop, START - timedelta(days=1))
    put(shop, START, "Order Completed", "a", user="u1", order="o1")
    assert probability(shop, "u1", START) is None
    put(shop, START + timedelta(seconds=9), "Product Viewed", "b", user="u1")
    assert probability(shop, "u1", START + timedelta(seconds=9)) is not None


def test_before_a_run_and_without_a_model_there_is_none(shop, caplog):
    put(shop, START, "Product Viewed", "a", user="u1")
    assert probability(shop, "u1", START) is None
    assert caplog.records == []


@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_a_profile_is_read_without_a_model_that_is_damaged_and_the_log_says_so_once(shop, caplog, content):
    finish_run_with_model(shop, START - timedelta(days=1))
    file = next(Path(shop.folder, "models").rglob("order_model.json"))
    file.unlink() if content is None else file.write_bytes(content)
    put(shop, START, "Product Viewed", "a", user="u1")
    with caplog.at_level(logging.ERROR):
        assert [probability(shop, "u1", START) for _ in range(2)] == [None, None]
    assert len(caplog.records) == 1
    assert "order_model.json" in caplog.text


def test_a_new_run_brings_its_own_model(shop):
    finish_run_with_model(shop, START - timedelta(days=2), RateByLastEvent())
    put(shop, START, "Product Viewed", "a", user="u1")
    first = probability(shop, "u1", START)
    finish_run_with_model(shop, START - timedelta(days=1), LogisticOrder())
    assert probability(shop, "u1", START) != first


def test_a_run_that_did_not_train_names_the_model_of_an_earlier_one(shop):
    trained_at = START - timedelta(days=2)
    finish_run_with_model(shop, trained_at, RateByLastEvent())
    put(shop, START, "Product Viewed", "a", user="u1")
    first = probability(shop, "u1", START)
    run = Run.at(START - timedelta(days=1))
    row = {"run_id": run.run_id, "question": "session_conversion", "trained_run_id": Run.at(trained_at).run_id}
    row |= {"trained_at": trained_at, "reason": RECENT}
    shop.lake.replace(TRAININGS, pa.Table.from_pylist([row], schema=TRAININGS.schema()), part=run.run_id)
    finish_run_with_model(shop, run.as_of, LogisticOrder())
    assert probability(shop, "u1", START) == first


def test_who_signs_in_on_the_way_was_nobody_when_the_visit_began(shop):
    """Else a run would learn that the known order, as the order is why they are known."""
    for number, minutes in enumerate((0, 5, 10)):
        user = "u9" if number == 2 else None
        put(shop, START + timedelta(minutes=minutes), "Product Viewed", f"a{number}", user=user, visitor="d9")
    put(shop, START + timedelta(days=1), "Product Viewed", "later", visitor="d9")
    with shop.lock():
        compact_inbox(shop)
    run = Run.at(START + timedelta(days=2))
    build_facts(shop.view(understand.READS, understand.WRITES, run=run))
    first, second = past_sessions(shop.view(predict.READS, [], run=run))
    assert first.customer_id == second.customer_id
    assert (first.history.is_known, second.history.is_known) == (False, True)
    assert len(first.events) == 3
