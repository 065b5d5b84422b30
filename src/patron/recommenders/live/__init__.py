"""Recommendations while a shopper is there: a list in milliseconds, from last night's index and this visit's events."""
