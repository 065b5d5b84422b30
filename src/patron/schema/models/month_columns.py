"""The columns that count a customer's order days by month: features that the shop's season is learned from."""

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
ORDER_DAYS_BY_MONTH = tuple(f"order_day_count_{month}" for month in MONTHS)
FIRST_ORDER_MONTH = "first_order_month"
"""The month of the first order, 1 to 12."""
