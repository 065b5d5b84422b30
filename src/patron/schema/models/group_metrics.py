"""Metrics of a selection by group of customers: their names and what they mean.

Of each row (a customer at a cutoff) it is known whether it was selected, and where there is a forecast, what was
forecast and whether it happened. Definitions, of the rows of a group:

- selection_rate: share selected;
- true_positive_rate: of those for whom it happened, the share selected (equal opportunity: Hardt, Price, Srebro 2016);
- false_positive_rate: of those for whom it did not happen, the share selected;
- calibration_gap: mean forecast less the share for whom it happened; above zero the forecast is too high;
- calibration_error and auc: as `schema.metrics` has them;
- selection_ratio: selection rate of the group over that of all others.
"""

SELECTION_RATE, SELECTION_RATIO = "selection_rate", "selection_ratio"
TRUE_POSITIVE_RATE, FALSE_POSITIVE_RATE = "true_positive_rate", "false_positive_rate"
CALIBRATION_GAP = "calibration_gap"
CALIBRATION_ERROR = "calibration_error"
AUC = "auc"
GROUP_METRICS = (
    SELECTION_RATE,
    SELECTION_RATIO,
    TRUE_POSITIVE_RATE,
    FALSE_POSITIVE_RATE,
    CALIBRATION_GAP,
    CALIBRATION_ERROR,
    AUC,
)
