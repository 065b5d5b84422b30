"""How far ahead each question looks: the stages that predict and that check may not import each other."""

HORIZON_DAYS = {"value": 90, "churn": 90, "purchase": 30, "recommend": 28}
