"""The budget of the offers is changed: one proposes, another looks, approves and puts it in force."""

import pytest
from tests.support.shops.team_shop import colleague
from tests.support.shops.workspace_copies import copy_workspace

from patron.answers.offers.policy_history import policy_text
from patron.interfaces.console.screenshots import served
from patron.schema.access.access_rights import Role
from patron.storage.shop import Shop

ADA, BO = colleague("Ada", Role.MARKETER), colleague("Bo", Role.APPROVER)


@pytest.fixture
def shop(new_home, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(new_home / "config"))
    shop = Shop.open(copy_workspace(new_home / "w", tmp_path / "w"))
    yield shop
    shop.close()


def test_another_person_approves_a_change_of_the_offers(walk, shop):
    walk.say("more control", "Ada", "Bo")
    with served(shop, ADA) as ada, served(shop, BO) as bo:
        walk.open(ada)
        walk.navigate("offers")
        walk.follow("offers.change")
        walk.page.locator("[name='budget.amount']").fill("lots")
        walk.fill("offers.note", "more control")
        walk.press("offers.propose", refused=422)
        assert walk.page.locator("[name='budget.amount']").input_value() == "lots", "what was typed is kept"
        walk.page.locator("[name='budget.amount']").fill("2000")
        walk.press("offers.propose")
        walk.read("proposal_notice.proposed")
        assert walk.page.get_by_role("button", name=walk.t("offers.approve")).count() == 0

        walk.open(bo)
        walk.navigate("offers")
        walk.follow("offers.look")
        walk.follow("offers.number", number=1)
        money = [walk.page.locator(f"table.diff {one}").all_inner_texts() for one in ("del", "ins")]
        assert [[text.lstrip("US$") for text in texts] for texts in money] == [["1,000.00"], ["2,000.00"]]
        walk.press_here("offers.approve")
        walk.confirm()
        walk.read("proposal_notice.approved")
        walk.navigate("offers")
        assert "2,000" in walk.text
    assert "amount = 2000.0 " in policy_text(shop)
    assert shop.policy.budget.amount == 2000
