"""Recommenders by neighbours: items had by the same users, users who had the same items.

Items: `item_knn`, `co_visitation` (in which order), `rp3beta` (a random walk), `transition_mixture` (what comes next,
and what the user had); `neighbours` is what they share.
Users: `tifu_knn` and `user_window_cf`, by baskets; `user_neighbours` is what they share.
"""
