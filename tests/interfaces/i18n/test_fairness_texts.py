"""What a page says about groups of customers, in both languages."""

from dataclasses import replace

import pytest

from patron.answers.fairness import Fairness, GroupResult, GroupThreshold, Mitigation
from patron.interfaces.console.fairness_texts import fairness_sentences, notes
from patron.interfaces.i18n import LOCALES
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words


def result(decision, mitigation, group, metric, value, others, verdict, **more):
    gap = value - others if metric != "selection_ratio" else None
    ends = {"low": value - 0.1, "high": value + 0.1, "gap": gap, "gap_low": gap, "gap_high": gap}
    return GroupResult(
        decision=decision,
        mitigation=mitigation,
        trait="gender",
        group_name=group,
        metric=metric,
        customer_count=100,
        value=value,
        others_value=others,
        verdict=verdict,
        **(ends | more),
    )


RESULTS = (
    result("churn", "none", "a", "true_positive_rate", 0.81, 0.52, "refuse"),
    result("churn", "none", "b", "true_positive_rate", 0.52, 0.81, "refuse"),
    result("churn", "none", "b", "calibration_gap", -0.1, 0.02, "warn"),
    result("churn", "none", "a", "calibration_gap", 0.02, -0.1, "warn"),
    result("offers", "none", "b", "selection_rate", 0.04, 0.11, "untested"),
    result("offers", "none", "b", "selection_ratio", 0.36, 1.0, "refuse"),
)
REFUSED = Fairness(("gender", "religion"), RESULTS, (("gender", "c"),), ("religion",), None, is_refused=True)
MITIGATION = Mitigation("gender", (GroupThreshold("a", 0.53), GroupThreshold("b", 0.45)), 12, 3, -4_000.0)


def sentences(compared, locale="en"):
    return list(fairness_sentences(compared, words(locale), Formats(locale, "USD", "UTC")))


def test_findings_are_said_once_for_two_groups_with_both_numbers_and_what_to_do():
    recognised, calibration, offered, todo = sentences(REFUSED)
    assert "Gender: b" in recognised
    assert "52%" in recognised
    assert "81%" in recognised
    assert "-10.0%" in calibration
    assert "+2.0%" in calibration
    assert "4% got one, and 11% of the others" in offered
    assert "no offers" in todo


def test_mitigation_is_said_with_its_price_and_what_is_left():
    after = (
        result("churn", "group_thresholds", "a", "true_positive_rate", 0.71, 0.69, "fair"),
        result("churn", "group_thresholds", "b", "true_positive_rate", 0.69, 0.71, "fair"),
    )
    mitigated = Fairness(("gender",), (*RESULTS[:4], *after), (), (), MITIGATION, is_refused=False)
    thresholds, price = sentences(mitigated)
    assert "Gender: a from 53%" in thresholds
    assert "12 more customers" in price
    assert "3 no longer" in price
    assert "costs $40.00" in price
    gain = replace(MITIGATION, gain_change_cents=100.0)
    assert "adds $1.00" in sentences(replace(mitigated, mitigation=gain))[-1]
    free = replace(MITIGATION, gain_change_cents=None)
    assert "costs nothing" in sentences(replace(mitigated, mitigation=free))[-1]


def test_small_groups_and_traits_that_nobody_has_are_named():
    assert list(notes(REFUSED, words("en"))) == [
        "Too few customers to be compared: Gender: c.",
        "Religion: no customer's value is known yet.",
    ]


@pytest.mark.parametrize("locale", LOCALES)
def test_no_sentence_has_an_unfilled_place_or_a_bare_key(locale):
    listed = [
        *sentences(REFUSED, locale),
        *sentences(replace(REFUSED, mitigation=MITIGATION, is_refused=False), locale),
        *notes(REFUSED, words(locale)),
    ]
    assert len(listed) > 8
    assert not [one for one in listed if "{" in one or "fairness." in one]


def test_a_shop_without_sensitive_traits_is_told_nothing():
    assert sentences(None) == []
