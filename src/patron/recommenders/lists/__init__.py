"""From candidates to lists that a shop can show: rules, one variant per style, caps, the long tail, diversity."""

from patron.recommenders.lists.choose_lists import ProductLists, choose_lists
from patron.recommenders.lists.exclusions import EXCLUSIONS, LISTED, Exclusion
from patron.recommenders.lists.list_candidates import ItemsByRow, ListCandidates, ShopperFacts
from patron.recommenders.lists.list_rules import ListRules
from patron.recommenders.lists.product_facts import ProductFacts

__all__ = [
    "EXCLUSIONS",
    "LISTED",
    "Exclusion",
    "ItemsByRow",
    "ListCandidates",
    "ListRules",
    "ProductFacts",
    "ProductLists",
    "ShopperFacts",
    "choose_lists",
]
