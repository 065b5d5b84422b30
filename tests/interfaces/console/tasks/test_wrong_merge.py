"""Two people were joined by mistake: one is taken out again, and the next run knows two customers."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.console_walk import COMBINATIONS
from tests.support.shops.merged_customers import REGULARS, customer_of, make_shop, who

from patron.interfaces.console.screenshots import served
from patron.schema.access.access_rights import Actor, Role, rights_of_user
from patron.schema.customers.customer_contacts import mask_id

ADA = Actor("Ada (user 00aa)", rights_of_user([Role.ADMIN]), user_id="00aa")
PAIRS = dict(zip(COMBINATIONS, ((2, 4), (6, 8), (10, 12), (18, 20)), strict=True))


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATRON_MASTER_KEY", "ab" * 32)
        before = datetime.now(UTC) - timedelta(minutes=30)
        shop = make_shop(tmp_path_factory.mktemp("merged") / "w", list(PAIRS.values()), before)
        with served(shop, ADA) as address:
            yield shop, address
        shop.close()


def test_a_wrong_merge_is_undone_and_the_next_run_knows_two_customers(walk, console):
    shop, address = console
    kept, other = PAIRS[walk.locale, walk.screen]
    walk.say(REGULARS, *(f"Pat Number{one}" for one in (kept, other)))
    walk.open(address)
    find(walk, who(other)[2])
    merged = shown(walk)
    assert REGULARS in walk.text, "two people together order often enough for it"
    walk.follow("customer.view.identity")
    walk.touch_link(re.compile(re.escape(f"{walk.t('identity.unlink')} {mask_id(who(other)[0])}")))
    outlooks = [outlook(one) for one in walk.page.locator(".outlook").all()]
    assert outlooks[0] == merged, "the preview says of now what the page says"
    assert outlooks[1][0] + outlooks[2][0] == merged[0]
    walk.press("identity.do_unlink")
    walk.read("identity_done.unlinked")

    walk.navigate("runs")
    walk.press("runs.start")
    walk.wait_for_job()

    found = []
    for number in (kept, other):
        find(walk, who(number)[2])
        found.append(shown(walk))
        assert walk.page.url.endswith(customer_of(shop, number)), "each has the id of their own again"
        assert REGULARS not in walk.text
        walk.follow("customer.view.timeline")
        assert len(walk.page.locator("#results time").all()) == found[-1][0], "their own orders, and no others"
    assert found == outlooks[1:], "the next run made what the preview said"


def find(walk, text: str) -> None:
    """Look a customer up by what they say of themselves."""
    walk.page.get_by_label(walk.t("nav.find")).last.fill(text)
    walk.press("customers.open")


def shown(walk) -> tuple[int, str]:
    """Orders and what was paid for them, as the tile of the page says."""
    tile = walk.page.locator(".key-facts li").filter(has_text=walk.t("column.paid"))
    count = re.search(r"\d+", tile.locator(".delta-note").inner_text())
    return int(count[0]), tile.locator(".tile-value").inner_text()


def outlook(place) -> tuple[int, str]:
    values = place.locator("dd").all_inner_texts()
    return int(values[1]), values[2]
