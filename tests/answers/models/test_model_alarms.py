from datetime import timedelta

from patron.answers.models.model_alarms import data_alarms_from, model_alarms
from patron.measure.feature_changes import MIN_EARLIER
from patron.predict.backtest import DAYS_BETWEEN_CUTOFFS, cutoffs_for
from patron.schema.data.data_sources import DAYS_BEFORE_DATA_ALARMS


def alarm(run, kind, subject, value, **more):
    row = {"run_id": run.run_id, "kind": kind, "subject": subject, "part": "mean", "value": value, "allowed": 1.0}
    return row | {"before": 0.1, "now": 0.4, "since": run.as_of, "customer_count": 9, "related": []} | more


def test_data_comes_first_then_the_largest_change(snapshot_of, this_run):
    data = {"part": "share", "source": "views", "related": ["view_count_7_days"]}
    rows = [
        alarm(this_run, "calibration", "churn", 2.0),
        alarm(this_run, "calibration", "value", 3.0),
        alarm(this_run, "data", "view_count_30_days", 1.5, **data),
    ]
    alarms = model_alarms(snapshot_of(model_alarms=rows))
    assert [one.subject for one in alarms] == ["view_count_30_days", "value", "churn"]
    assert alarms[0].related == ("view_count_7_days",)


def test_a_run_of_before_there_were_alarms_has_none(snapshot_of):
    assert model_alarms(snapshot_of()) == ()


def test_alarms_about_data_begin_when_a_run_has_enough_cutoffs(snapshot_of, order_of, this_run):
    first = this_run.as_of - timedelta(days=DAYS_BEFORE_DATA_ALARMS)
    assert len(cutoffs_for(this_run.as_of, first)) == MIN_EARLIER + 2
    assert len(cutoffs_for(this_run.as_of - timedelta(days=1), first)) < MIN_EARLIER + 2
    old = snapshot_of(**order_of(("a", first, 100)))
    young = snapshot_of(**order_of(("a", first + timedelta(days=DAYS_BETWEEN_CUTOFFS), 100)))
    assert data_alarms_from(old) is None
    assert data_alarms_from(young) == this_run.as_of + timedelta(days=DAYS_BETWEEN_CUTOFFS)
