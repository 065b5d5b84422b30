"""Recommendations while a shopper is there: a list in milliseconds, from last night's index and this visit's events.

Index: `recommendation_index`, made from tables by `index_tables`, with `product_rows` (rows of different lengths).
Visit: `session_memory` knows what shoppers did lately.
List: `list_maker` makes one for a place of `scenarios`: `candidate_interests`, `click_model` (how likely each is
clicked), `exploration` of one position, `list_reasons`.
Learn: `list_feedback`, what shown lists teach.
"""
