"""An offer is one offer: in the timeline of its customer, and when its run is run again and decides otherwise."""

from collections import Counter
from datetime import timedelta

import pytest
from workspace_copies import copy_workspace

from patron.answers.customers.customer_profile import customer_card
from patron.run import run_loop
from patron.schema.tables import EVENTS, EXPOSURES
from patron.storage.shop import POLICY_FILE, Shop

pytestmark = pytest.mark.xdist_group("one run")  # with others that go on from the same workspace


@pytest.fixture(scope="module")
def run_again(shop_after_one_run, tmp_path_factory):
    """A shop whose first run was run again with other offers, and that has finished once more since."""
    folder, as_of = tmp_path_factory.mktemp("shop") / "w", shop_after_one_run.world.now
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_MASTER_KEY", shop_after_one_run.key)
        copy_workspace(shop_after_one_run.folder, folder)
        policy = folder / POLICY_FILE
        policy.write_text(policy.read_text().replace('id = "', 'id = "other_'))
        shop = Shop.open(folder)
        run_loop(shop, as_of)
        run_loop(shop, as_of + timedelta(days=1))
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
