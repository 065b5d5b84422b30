"""How long the plan of a campaign takes in a shop with a million customers.

    python benchmarks/campaigns/plan_a_million.py [CUSTOMERS]

A temporary workspace gets the tables of a run: stages, forecasts, two orders and one opened message a customer, and the
consent of four in five; nine in ten have an address, of which one in a hundred bounced, and one in fifty customers was
written to as often as the policy allows. Two offers, a budget that ends before all have one, 20 % held out. Printed are
wall and processor seconds of the first plan, and of a second one, which replaces the first one's rows; asked: 60 s.
"""

import os
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from patron.commands.outreach.campaigns.plan_campaign import plan_campaign
from patron.govern.access.request_context import RequestContext
from patron.schema.table_definition import TIME
from patron.schema.tables import BY_NAME
from patron.segments.segment_parser import parse_rule
from patron.storage.offers.policy import Policy
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.outreach.campaign_tables import MESSAGES, SUPPRESSIONS
from patron.storage.runs.runs import Run
from patron.storage.segments.segment_definitions import save_definition
from patron.storage.shop import Shop
from patron.storage.store.store import RUNS

RUN = Run.at(datetime(2024, 6, 1, tzinfo=UTC))
STAGES = ("new", "active", "at_risk", "lapsed", "reactivated")
POLICY = {
    "budget": {"amount": 1e9},
    "offers": [
        {"id": "TEN", "discount_share": 0.1, "contact_cost_cents": 5, "assumed_purchase_uplift": 0.15},
        {"id": "TWENTY", "discount_share": 0.2, "contact_cost_cents": 5, "assumed_purchase_uplift": 0.25},
    ],
}
CONTENT = {
    "name": "million",
    "segment": "every customer",
    "topic": "offers",
    "offers": ["TEN", "TWENTY"],
    "budget": 300_000.0,
    "start": "2024-06-02T09:00:00",
    "end": "2024-06-30T00:00:00",
    "template": {"en": {"subject": "Hello", "body": "Hello {{ unsubscribe_url }}", "format": "text"}},
}


def fill(shop: Shop, customers: int) -> None:
    rng = np.random.default_rng(1)
    ids = np.array([f"{n:032x}"[::-1] for n in range(customers)])
    run = {"run_id": pa.repeat(RUN.run_id, customers), "as_of": pa.repeat(pa.scalar(RUN.as_of, TIME), customers)}
    stages = pa.DictionaryArray.from_arrays(rng.integers(0, 5, customers).astype(np.int32), list(STAGES)).cast("string")
    ranks = {f"{name}_score": rng.integers(1, 6, customers) for name in ("recency", "frequency", "monetary")}
    segments = {"customer_id": ids, **ranks, "persona_id": rng.integers(-1, 5, customers), "lifecycle_stage": stages}
    write(shop, "segments", run | segments)
    churn = rng.beta(1.0, 2.0, customers)
    values = {"value": rng.lognormal(8, 1.2, customers), "churn": churn, "purchase": 1 - churn}
    parts = [
        made("scores", run | {"customer_id": ids, "question": pa.repeat(name, customers), "value": one})
        for name, one in values.items()
    ]
    shop.lake.replace(BY_NAME["scores"], pa.concat_tables(parts), part=RUN.run_id)
    order_tables(shop, rng, ids)
    agreed = ids[rng.random(customers) < 0.8]
    consents = {
        "customer_id": agreed,
        "purpose": pa.repeat("marketing", len(agreed)),
        "basis": pa.repeat("consent", len(agreed)),
        "event": np.char.add("c", agreed),
        **dict.fromkeys(("is_granted", "is_latest", "is_of_user"), pa.array(np.ones(len(agreed), bool))),
    }
    write(shop, "consents", consents)
    reached(shop, ids)


def reached(shop: Shop, ids: np.ndarray) -> None:
    """Users with an address each but for one in ten, bounced addresses, and messages of another campaign."""
    tokens, since = np.char.add("u", ids), pa.repeat(pa.scalar(RUN.as_of - timedelta(days=300), TIME), len(ids))
    known = {"token": tokens, "customer_id": ids, "is_user": np.ones(len(ids), bool), "known_at": since}
    write(shop, "identities", known)
    addressed = np.arange(len(ids)) % 10 > 0
    contacts = np.char.add("e", ids[addressed])
    event = {"user_token": tokens[addressed], "email_token": contacts, "event_id": np.char.add("i", ids[addressed])}
    event |= {"name": pa.repeat("Identify", len(contacts)), "source": pa.repeat("web", len(contacts))}
    event |= {"month": pa.repeat(f"{RUN.as_of - timedelta(days=300):%Y-%m}", len(contacts))}
    event |= {name: since[: len(contacts)] for name in ("occurred_at", "received_at", "known_at")}
    write(shop, "events", event)
    at = RUN.as_of - timedelta(days=1)
    bounced = {"channel": "email", "topic": "", "reason": "hard_bounce", "suppressed_at": at}
    message = {"campaign": "old", "channel": "email", "topic": "news", "state": "sent", "reason": "", "offer": ""}
    message |= {"consent_basis": "consent", "attempt_count": 1, "written_at": at, "sent_at": at}
    often = [
        message | {"message_id": f"{number}/{customer}", "customer_id": str(customer)}
        for customer in ids[::50]
        for number in range(3)
    ]
    with shop.store.begin() as connection:
        connection.execute(sa.insert(SUPPRESSIONS), [bounced | {"contact": str(one)} for one in contacts[::100]])
        connection.execute(sa.insert(MESSAGES), often)


def order_tables(shop: Shop, rng: np.random.Generator, ids: np.ndarray) -> None:
    who = np.repeat(ids, 2)
    at = RUN.as_of - timedelta(days=365)
    seconds = rng.integers(0, 364 * 86_400, len(who))
    moments = pa.array(np.datetime64(at.replace(tzinfo=None), "us") + seconds.astype("timedelta64[s]")).cast(TIME)
    gross, number = rng.integers(1_000, 9_000, len(who)), np.arange(len(who)).astype(str)
    discount = (gross * rng.choice([0, 0.1], len(who))).astype(np.int64)
    common = {
        "customer_id": who,
        "order_id": np.char.add("o", number),
        "gross_cents": gross,
        "discount_cents": discount,
        "paid_cents": gross - discount,
        "has_coupon": discount > 0,
        **dict.fromkeys(("occurred_at", "known_at", "ordered_at"), moments),
    }
    hour = {"local_hour": rng.integers(7, 23, len(who)), "local_weekday": rng.integers(0, 7, len(who))}
    write(shop, "orders", common | hour)
    write(shop, "order_lines", common | {"line_id": number, "is_refund": np.zeros(len(who), bool)})
    opened = {
        "customer_id": ids,
        "kind": pa.repeat("message_opened", len(ids)),
        "event_id": np.char.add("m", np.arange(len(ids)).astype(str)),
        **dict.fromkeys(("occurred_at", "known_at"), moments[: len(ids)]),
        "local_hour": rng.integers(7, 23, len(ids)),
    }
    write(shop, "interactions", opened)


def write(shop: Shop, name: str, columns: dict) -> None:
    table = BY_NAME[name]
    shop.lake.replace(table, made(name, columns), part=RUN.run_id if table.partition_by == "run_id" else None)


def made(name: str, columns: dict) -> pa.Table:
    size = len(next(iter(columns.values())))
    return pa.table(
        {
            column.name: pa.array(columns[column.name]).cast(column.type)
            if column.name in columns
            else pa.nulls(size, column.type)
            for column in BY_NAME[name].columns
        }
    )


def finish(shop: Shop) -> None:
    versions = {name: shop.lake.version(table) for name, table in BY_NAME.items()}
    row = {
        "run_id": RUN.run_id,
        "as_of": RUN.as_of,
        "finished_at": RUN.as_of,
        "seconds": 1.0,
        "seed": RUN.seed,
        "policy_version": "benchmark",
        "table_versions": versions,
        "summary": {},
    }
    with shop.store.begin() as connection:
        connection.execute(sa.insert(RUNS).values(row))
        save_definition(connection, "every customer", parse_rule({"all": []}), saved_by="bench", at=RUN.as_of)
        CAMPAIGN.save(connection, Campaign.of(CONTENT, where="benchmark"), "bench", RUN.as_of)


def main() -> None:
    customers = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = str(Path(folder) / "config")
        shop = Shop.create(Path(folder) / "shop")
        fill(shop, customers)
        finish(shop)
        shop.policy = Policy.model_validate(POLICY)
        for which in ("first", "second"):
            wall, processor = time.perf_counter(), time.process_time()
            plan = plan_campaign(RequestContext.from_name(shop, "bench", now=RUN.as_of), "million")
            seconds = time.perf_counter() - wall, time.process_time() - processor
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(
                f"{which} plan of {plan.member_count:,}: {plan.message_count:,} messages, {plan.holdout_count:,} held"
                f" out, cost {plan.forecast.cost_cents / 100:,.0f}:"
                f" {seconds[0]:.1f} s, {seconds[1]:.1f} s of processor, peak {peak:.1f} GB"
            )
            if which == "first":
                with shop.store.begin() as connection:
                    CAMPAIGN.take_step(connection, "million", "approved", 1, "other", RUN.as_of)
                    CAMPAIGN.take_step(connection, "million", "paused", 1, "other", RUN.as_of)
        shop.close()


if __name__ == "__main__":
    main()
