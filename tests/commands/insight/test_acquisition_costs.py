"""Acquisition costs: every line is stored, or none."""

from datetime import UTC, datetime

import pytest

from patron.answers.insight.cohort_sums import month_number
from patron.answers.insight.payback import acquisition_costs
from patron.commands.insight.enter_acquisition_costs import EnteredCosts, enter_acquisition_costs
from patron.govern.access import audit_log
from patron.govern.access.request_context import RequestContext
from patron.schema.errors import BadFile, SettingsError

NOW = datetime(2017, 10, 2, tzinfo=UTC)


def entered(shop, text):
    return enter_acquisition_costs(RequestContext.from_name(shop, "Ann", now=NOW), text)


def test_lines_are_entered_replaced_and_deleted(made_shop):
    assert entered(made_shop, "Channel;Month;Cost\nstore;2017-01;120.50\n\nstore;2017-02;80") == EnteredCosts(2, 0)
    assert entered(made_shop, "store\t2017-02\t90\nstore\t2017-01\t") == EnteredCosts(1, 1)
    assert acquisition_costs(made_shop.store) == {("store", month_number("2017-02")): 9_000}
    newest = audit_log.entries(made_shop.store)[-1]
    assert (newest.action, '"by": "Ann"' in newest.details) == ("acquisition costs entered", True)
    assert entered(made_shop, "store,2017-02,") == EnteredCosts(0, 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "0 lines"),
        ("store,2017-01", None),
        ("store", "1 cells"),
        ("stroe,2017-01,5", "no customer came through the channel 'stroe'"),
        ("store,2017-13,5", "'2017-13' is not a month"),
        ("store,2017-01,5\nstore,2017-02,much", "'much' is not a number"),
        ("store,2017-01,-5", "below zero"),
    ],
)
def test_a_line_that_is_wrong_stores_nothing(made_shop, text, problem):
    if problem is None:
        assert entered(made_shop, text) == EnteredCosts(0, 1)
    else:
        with pytest.raises(BadFile, match=problem):
            entered(made_shop, text)
    assert acquisition_costs(made_shop.store) == {}


def test_somebody_enters_them(made_shop):
    with pytest.raises(SettingsError):
        enter_acquisition_costs(RequestContext.from_name(made_shop, " ", now=NOW), "store,2017-01,5")
