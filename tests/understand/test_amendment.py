"""Facts amended from those of the last run equal facts made whole, whatever happened in between."""

import json
import random
from collections import Counter
from datetime import timedelta

import pyarrow as pa
import pytest

from patron import understand
from patron.schema.events import OF_PRODUCTS
from patron.schema.tables import BY_NAME, EVENTS
from patron.storage.lake.lake_erasure import Eraser, ErasureConditions
from patron.storage.runs.runs import CompletedRun, Run
from patron.storage.runs.stage_view import StageView
from patron.storage.shop import Shop
from patron.understand.facts import FACTS, amendment, build_facts
from patron.understand.facts.amendment import is_amendable
from patron.understand.facts.usable_events import Scope

from .conftest import START, events_table

DAYS_BEFORE, DAYS = 12, 3
SEEDS = range(1)
KINDS = (
    ("Product Viewed", 12),
    ("Products Searched", 4),
    ("Product Added", 4),
    ("Order Completed", 4),
    ("Order Line Completed", 3),
    ("Order Refunded", 2),
    ("Order Line Refunded", 2),
    ("Order Cancelled", 1),
    ("Identify", 3),
    ("Alias", 1),
    ("Customer Referred", 1),
    ("Contract Started", 1),
    ("Contract Cancelled", 1),
    ("Message Sent", 1),
    ("Product Updated", 1),
    ("Promotion Scheduled", 1),
    ("Page", 2),
)
USERS, DEVICES, CONTACTS = 9, 14, 6
PRODUCTS, ORDERS = 7, 40


class RandomShop:
    """Events of a few users on a few devices that they share, all of what may go wrong included."""

    def __init__(self, seed: int) -> None:
        self.random, self.count = random.Random(seed), 0  # noqa: S311 - a test's own numbers

    def day(self, number: int, *, backfilled: bool = False, unlinked: bool = False) -> pa.Table:
        """Events that became known on a day; of a backfill, that were known long before."""
        rows = [self._event(number) for _ in range(self.random.randint(8, 25))]
        if backfilled:
            rows.append(self._event(self.random.randint(0, number - 1)))
        if unlinked:
            rows.append(self._event(number, "Identity Unlinked"))
        return events_table(rows)

    def _event(self, number: int, name: str | None = None) -> dict[str, object]:
        pick = self.random
        name = name or pick.choices([kind for kind, _ in KINDS], [weight for _, weight in KINDS])[0]
        known = START + timedelta(days=number, seconds=pick.randrange(0, 86_400, 600))
        late = timedelta(days=pick.choice([0, 0, 0, 0, 1, 9]), seconds=pick.choice([0, 60, -60]))
        self.count += 1
        row = {
            "source": pick.choice(["s", "s", "t"]),
            "event_id": f"e{self.count}",
            "name": name,
            "occurred_at": known - late,
            "received_at": known,
            "known_at": known,
            "month": f"{known - late:%Y-%m}",
            "channel": pick.choice(["web", "app", None]),
            "flags": pick.choice([None] * 12 + [["bot"], ["test"], ["no_consent"], ["no_time"]]),
        }
        return row | self._who(name) | self._what(name)

    def _who(self, name: str) -> dict[str, object]:
        pick = self.random
        if name in OF_PRODUCTS:
            return {}
        user, device = f"u{pick.randrange(USERS)}", f"d{pick.randrange(DEVICES)}"
        who = pick.choice([{"user_token": user}, {"anonymous_token": device}, {"anonymous_token": device}, {}])
        who = who or {"user_token": user, "anonymous_token": device}
        more: dict[str, object] = {}
        if pick.random() < 0.1:
            more["email_token"] = f"m{pick.randrange(CONTACTS)}"
        if name == "Alias":
            return {"user_token": user, "previous_token": f"u{pick.randrange(USERS)}"}
        if name == "Customer Referred":
            more["referred_token"] = f"u{pick.randrange(USERS)}"
        if name == "Identify" or pick.random() < 0.05:
            more["traits"] = json.dumps({"registration_channel": pick.choice(["west", "east"])})
        return who | more

    def _what(self, name: str) -> dict[str, object]:
        pick = self.random
        product = f"p{pick.randrange(PRODUCTS)}"
        category = pick.choice(["c1", "c2", None, None, None])
        currency = pick.choice(["USD", "EUR", None, "XXX"])
        if name.startswith("Order"):
            found: dict[str, object] = {"order_id": pick.choice([f"o{pick.randrange(ORDERS)}", None])}
            found |= {"currency": currency, "revenue_cents": pick.choice([None, 500, 2000])}
            if "Line" in name or pick.random() < 0.3:
                return found | {"product_id": product, "quantity": pick.randint(1, 3), "price_cents": 700}
            lines = [{"product_id": f"p{pick.randrange(PRODUCTS)}", "price_cents": 400, "quantity": 2} for _ in "ab"]
            return found | {"products": lines[: pick.randint(0, 2)]}
        if name.startswith("Contract"):
            ends = START + timedelta(days=pick.randrange(40))
            return {"properties": json.dumps({"contract_id": pick.choice("cd"), "ends_at": ends.isoformat()})}
        if name == "Promotion Scheduled":
            day = f"{START + timedelta(days=pick.randrange(40)):%Y-%m-%d}"
            plan = {"promotion_id": pick.choice(["a", "b", None]), "starts_at": day, "ends_at": pick.choice([day, "?"])}
            return {"product_id": product, "properties": json.dumps(plan | {"percent_off": 10})}
        if name == "Product Updated" or name.startswith("Product "):
            return {"product_id": product, "category": category, "brand": category, "currency": currency}
        return {}


def view_at(shop: Shop, number: int, last: CompletedRun | None = None) -> StageView:
    pinned = {EVENTS.name: shop.lake.version(EVENTS)}
    run = Run.at(START + timedelta(days=number, hours=3))
    return shop.view(understand.READS, understand.WRITES, run=run, pinned=pinned, last=last)


def fact_rows(shop: Shop, run: Run) -> dict[str, list[dict[str, object]]]:
    """Rows of every table of facts in one order; of tables that keep each run, those of one."""
    rows = {name: shop.lake.read(BY_NAME[name]).to_pylist() for name in [*FACTS, "identity_changes"]}
    return {
        name: sorted((row for row in found if row.get("run_id", run.run_id) == run.run_id), key=repr)
        for name, found in rows.items()
    }


def completed(shop: Shop, view: StageView) -> CompletedRun:
    """Make facts as a run would, and what its row says of them."""
    origin = build_facts(view)
    return CompletedRun(view.run, {name: shop.lake.version(table) for name, table in BY_NAME.items()}, origin)


def can_amend(view: StageView) -> bool:
    last = view.last
    scope = Scope(view.run.as_of, view.settings.shop.time_zone, view.settings.shop.currency)
    return last is not None and last.facts is not None and is_amendable(view, scope, last.facts.definition, FACTS)


def erase(shop: Shop, token: str) -> None:
    eraser = Eraser(shop.lake.folder, shop.lake.record)
    eraser.erase(EVENTS, shop.engine, ErasureConditions(f"coalesce(user_token, anonymous_token) = '{token}'"), {})
    eraser.delete_history(EVENTS)


@pytest.mark.parametrize("seed", SEEDS)
def test_amended_facts_equal_facts_made_whole(shop, seed, monkeypatch):
    monkeypatch.setattr(amendment, "MAX_SHARE", 1.0)  # why: a day of this shop changes most of it
    world, pick = RandomShop(seed), random.Random(seed)  # noqa: S311 - a test's own numbers
    shop.lake.append(EVENTS, pa.concat_tables([world.day(number) for number in range(DAYS_BEFORE)]))
    last = completed(shop, view_at(shop, DAYS_BEFORE - 1))
    for number in range(DAYS_BEFORE, DAYS_BEFORE + DAYS):
        happens = "" if number == DAYS_BEFORE else pick.choice(["", "", "", "backfill", "unlink", "erasure"])
        shop.lake.append(EVENTS, world.day(number, backfilled=happens == "backfill", unlinked=happens == "unlink"))
        if happens == "erasure":
            erase(shop, f"u{pick.randrange(USERS)}")
        view = view_at(shop, number, last)
        assert can_amend(view) or number > DAYS_BEFORE
        assert not can_amend(view) or not happens
        last = completed(shop, view)
        amended = fact_rows(shop, view.run)
        build_facts(view_at(shop, number))
        whole = fact_rows(shop, view.run)
        assert {name: difference(amended[name], rows) for name, rows in whole.items()} == dict.fromkeys(whole, ())


def difference(amended: list[dict[str, object]], whole: list[dict[str, object]]) -> tuple[object, ...]:
    """Rows that only one of them has."""
    ours, theirs = Counter(map(repr, amended)), Counter(map(repr, whole))
    return tuple(("amended", row) for row in (ours - theirs)) + tuple(("whole", row) for row in (theirs - ours))
