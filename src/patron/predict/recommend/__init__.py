"""Which products each customer buys in the next 28 days."""

from patron.predict.recommend.library_lists import (
    AttentionLists,
    ItemHazardLists,
    LearnedLists,
    LibraryLists,
    PopularityLists,
    TowerLists,
)

LEARNERS: tuple[LibraryLists, ...] = (
    PopularityLists(),
    ItemHazardLists(),
    LearnedLists(),
    AttentionLists(),
    TowerLists(),
)
