"""Which verdicts stand when groups have thresholds of their own: no verdict goes away unless it was tested again."""

from dataclasses import dataclass

from patron.schema.models.standing_verdicts import standing_verdicts


@dataclass(frozen=True)
class Row:
    mitigation: str
    group_name: str
    metric: str
    verdict: str
    decision: str = "churn"
    trait: str = "gender"


BEFORE = (
    Row("none", "a", "true_positive_rate", "refuse"),
    Row("none", "b", "true_positive_rate", "refuse"),
    Row("none", "b", "calibration_gap", "warn"),
)


def test_without_mitigation_every_verdict_stands_and_what_is_untested_is_none():
    assert standing_verdicts((*BEFORE, Row("none", "b", "auc", "untested"))) == BEFORE


def test_a_verdict_is_replaced_where_the_same_was_tested_with_thresholds_by_group_and_stands_elsewhere():
    after = (
        Row("group_thresholds", "a", "true_positive_rate", "fair"),
        Row("group_thresholds", "b", "calibration_gap", "fair"),
        Row("group_thresholds", "b", "selection_rate", "untested"),
        Row("group_thresholds", "b", "threshold", "untested"),
    )
    assert standing_verdicts((*BEFORE, *after)) == (BEFORE[1], after[0], after[1])


def test_a_verdict_about_offers_is_not_replaced_by_one_about_churn():
    offers = Row("none", "a", "true_positive_rate", "refuse", decision="offers")
    assert standing_verdicts((offers, Row("group_thresholds", "a", "true_positive_rate", "fair")))[0] == offers
