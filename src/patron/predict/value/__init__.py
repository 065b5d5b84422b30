"""What each customer will pay in the next 90 days."""

from patron.predict.baselines import Mean, Zero
from patron.predict.labels import Question
from patron.predict.value.boosted_value import Boosted, BoostedBlend
from patron.predict.value.btyd_learners import BetaGeoSpend, RecentBlend
from patron.predict.value.stacked import Stacked
from patron.predict.value.two_stage import TwoStage, ZeroInflatedLogNormal
from patron.predict.value.value_baselines import LastNinetyDays, ShrunkenLastNinetyDays
from patron.schema import metrics
from patron.schema.questions import HORIZON_DAYS

LEARNERS = (
    Zero(),
    Mean(),
    LastNinetyDays(),
    ShrunkenLastNinetyDays(),
    RecentBlend(),
    BetaGeoSpend(),
    BoostedBlend(),
    Boosted(),
    TwoStage(),
    ZeroInflatedLogNormal(),
    Stacked(),
)

QUESTION = Question(
    name="value",
    meaning="net paid in the next 90 days",
    unit="cents",
    horizon_days=HORIZON_DAYS["value"],
    label="coalesce(cast(sum(l.paid_cents) as double), 0.0)",
    population="true",
    # A few customers make most of the squared error: the plain RMSE is printed beside it, and does not choose.
    primary_metric=metrics.RMSE_WINSORISED,
    metrics=(
        metrics.RMSE,
        metrics.MAE,
        metrics.BIAS_SHARE,
        metrics.NORMALISED_GINI,
        metrics.SPEARMAN,
        metrics.DECILE_MAPE,
    ),
    learners=LEARNERS,
    # The winsorised error does not see the largest customers and rewards forecasts that are too small. Of learners
    # that are nearly as good there, the plain one takes those that are right about both.
    tie_break=metrics.RMSE,
)
