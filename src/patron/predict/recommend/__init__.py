"""Which products each customer buys in the next 28 days."""

from patron.predict.recommend.library_lists import ItemHazardLists, LearnedLists, PopularityLists

LEARNERS = (PopularityLists(), ItemHazardLists(), LearnedLists())
"""The last one is a candidate where policy.toml has [recommendations] ranking = "learned"."""
