"""An offer is one offer: in the timeline of its customer, and when its run is run again and decides otherwise."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from patron.answers.customer_profile import customer_card
from patron.commands.simulated_loop import ingest_events, write_rules
from patron.run import run_loop
from patron.schema.tables import EVENTS, EXPOSURES
from patron.simulate.simulator import ShopSimulator
from patron.simulate.simulator_settings import DEFAULT_SHOP
from patron.storage.shop import POLICY_FILE, Shop


@pytest.fixture(scope="module")
def run_again(tmp_path_factory):
    """A shop whose first run was run again with other offers, and that has finished once more since."""
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.delenv("PATRON_MASTER_KEY", raising=False)
        settings = replace(DEFAULT_SHOP, customers=120, visits_per_day=0.0)
        Shop.create(folder / "w").close()
        write_rules(folder / "w", settings, budget_cents=100_000)
        world = ShopSimulator(settings, seed=5)
        shop = Shop.open(folder / "w")
        ingest_events(shop, world.history(120), received_at=world.now)
        run_loop(shop, world.now)
        shop.close()
        policy = folder / "w" / POLICY_FILE
        policy.write_text(policy.read_text().replace('id = "', 'id = "other_'))
        shop = Shop.open(folder / "w")
        run_loop(shop, world.now)
        run_loop(shop, world.now + timedelta(days=1))
        yield shop
        shop.close()


def test_a_customers_timeline_shows_each_standing_offer_once(run_again):
    exposed = run_again.lake.read(EXPOSURES).to_pylist()
    events = run_again.lake.read(EVENTS).to_pylist()
    assert sum(event["name"] == "Offer Assigned" for event in events) > len(exposed) > 0
    for customer in sorted({row["customer_id"] for row in exposed})[:5]:
        timeline = customer_card(run_again, customer).timeline
        shown = Counter(entry.detail for entry in timeline if entry.kind == "offer")
        assert shown == Counter(row["action"] for row in exposed if row["customer_id"] == customer)
        assert all(str(action).startswith("other_") for action in shown)
