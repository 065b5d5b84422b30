"""What a page says about groups of customers, in both languages."""

from dataclasses import replace

import pytest

from patron.answers.models.fairness import FairnessResults, GroupResult, GroupThreshold, Mitigation
from patron.interfaces.console.models.fairness_texts import fairness_sentences, notes
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
REFUSED = FairnessResults(
    ("gender", "religion"),
    RESULTS,
    (("offers", "gender", 1_234),),
    ("religion",),
    None,
    is_refused=True,
    is_pinned=False,
)
CHURN_ONLY = replace(REFUSED, traits=("gender",), results=RESULTS[:4], left_out=(), unknown_traits=())
MITIGATION = Mitigation("gender", (GroupThreshold("a", 0.53), GroupThreshold("b", 0.45)), 12, 3, -4_000.0)


def sentences(compared, locale="en"):
    return list(fairness_sentences(compared, words(locale), Formats(locale, "USD", "UTC")))


def test_findings_are_said_once_for_two_groups_with_both_numbers_and_what_to_do():
    forecast, calibration, offered, churn, offers = sentences(REFUSED)
    assert "52% of the group Gender: b had been forecast as likely to leave, and 81% of the others" in forecast
    assert "-10.0%" in calibration
    assert "+2.0%" in calibration
    assert "4% got one, and 11% of the others" in offered
    assert "data about this group" in churn
    assert "Change the offers" in offers


def test_mitigation_is_said_with_its_price_and_what_is_left():
    after = (
        result("churn", "group_thresholds", "a", "true_positive_rate", 0.71, 0.69, "fair"),
        result("churn", "group_thresholds", "b", "true_positive_rate", 0.69, 0.71, "fair"),
    )
    calibration = result("churn", "group_thresholds", "b", "calibration_gap", -0.01, 0.01, "fair")
    other = result("churn", "group_thresholds", "a", "calibration_gap", 0.01, -0.01, "fair")
    results = (*RESULTS[:4], *after, calibration, other)
    mitigated = replace(CHURN_ONLY, results=results, mitigation=MITIGATION, is_refused=False)
    thresholds, price = sentences(mitigated)
    assert "Gender: a from 53%" in thresholds
    assert "12 more customers" in price
    assert "3 no longer" in price
    assert "costs $40.00" in price
    gain = replace(MITIGATION, gain_change_cents=100.0)
    assert "adds $1.00" in sentences(replace(mitigated, mitigation=gain))[-1]
    free = replace(MITIGATION, gain_change_cents=None)
    assert "costs nothing" in sentences(replace(mitigated, mitigation=free))[-1]


def test_a_finding_that_was_not_tested_again_is_not_hidden_by_thresholds_of_each_groups_own():
    after = (
        result("churn", "group_thresholds", "b", "selection_rate", 0.5, 0.5, "untested"),
        result("churn", "group_thresholds", "b", "calibration_gap", -0.01, 0.01, "fair"),
        result("churn", "group_thresholds", "a", "calibration_gap", 0.01, -0.01, "fair"),
    )
    mitigated = replace(CHURN_ONLY, results=(*RESULTS[:4], *after), mitigation=MITIGATION)
    assert [(row.group_name, row.metric) for row in mitigated.findings] == [("b", "true_positive_rate")]
    assert mitigated.refused_decisions == ("churn",)


def test_thresholds_whose_effect_is_not_known_are_said_to_be_not_measurable_and_are_not_advised():
    listed = sentences(replace(CHURN_ONLY, mitigation=MITIGATION))
    [unmeasured] = [one for one in listed if "not yet measurable" in one]
    assert "at least 90 days apart" in unmeasured
    assert not [one for one in listed if "mitigation" in one]
    assert not [one for one in listed if "expected gain" in one], "nobody gets an offer"
    assert "forecast as likely to leave" in listed[0]


def test_thresholds_of_one_trait_are_not_measured_by_groups_of_another():
    age = replace(result("churn", "group_thresholds", "a", "true_positive_rate", 0.7, 0.7, "fair"), trait="age")
    listed = sentences(replace(CHURN_ONLY, results=(*RESULTS[:4], age), mitigation=MITIGATION))
    assert [one for one in listed if "at least 90 days apart" in one]


def test_groups_of_whom_too_few_left_are_named_and_no_training_is_waited_for():
    calibration = replace(CHURN_ONLY, results=RESULTS[2:4], mitigation=MITIGATION)
    listed = sentences(calibration)
    assert not [one for one in listed if "90 days apart" in one]
    assert len([one for one in listed if "too few" in one]) == 2, "of a, or of all others"
    after = result("churn", "group_thresholds", "a", "true_positive_rate", 0.7, 0.7, "fair")
    mixed = sentences(replace(CHURN_ONLY, results=(RESULTS[0], *RESULTS[2:4], after), mitigation=MITIGATION))
    [too_few] = [one for one in mixed if "too few" in one]
    assert "Gender: b" in too_few
    assert not [one for one in mixed if "90 days apart" in one]


def test_only_what_refused_is_advised_on():
    assert not [sentence for sentence in sentences(CHURN_ONLY) if "refuse_ratio" in sentence]
    offers = replace(REFUSED, results=RESULTS[4:])
    assert sentences(offers)[-1].startswith("The difference in offers")
    assert len(sentences(offers)) == 2


def test_a_pinned_model_is_said_not_to_be_compared():
    assert "pinned" in sentences(replace(CHURN_ONLY, is_pinned=True))[-1]


def test_customers_of_small_groups_are_counted_and_traits_that_nobody_has_are_named():
    few = "customers whose group cannot be compared, because it or all others are too few"
    assert list(notes(REFUSED, words("en"), Formats("en", "USD", "UTC"))) == [
        f"Gender (who gets an offer): {few}: 1,234.",
        "Religion: no customer's value is known yet.",
    ]


@pytest.mark.parametrize("locale", LOCALES)
def test_no_sentence_has_an_unfilled_place_or_a_bare_key(locale):
    listed = [
        *sentences(REFUSED, locale),
        *sentences(replace(REFUSED, mitigation=MITIGATION, is_refused=False), locale),
        *sentences(replace(CHURN_ONLY, is_pinned=True), locale),
        *sentences(replace(CHURN_ONLY, results=RESULTS[1:4], mitigation=MITIGATION), locale),
        *notes(REFUSED, words(locale), Formats(locale, "USD", "UTC")),
    ]
    assert len(listed) > 8
    assert not [one for one in listed if "{" in one or "fairness." in one]


def test_a_shop_without_sensitive_traits_is_told_nothing():
    assert sentences(None) == []
