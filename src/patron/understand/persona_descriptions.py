"""What sets each persona apart from the other customers: facts with the shop's usual, and a name that no other has."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

from patron.schema.numbers import Numbers, mean_ranks
from patron.understand.persona_traits import TraitColumn
from patron.understand.personas import Personas

MAX_FACTS = 4
NAME_PARTS = 2
NOTICEABLE = 0.15
"""Cliff's delta from which a trait counts as a difference; the strongest one always does."""
MIN_KNOWN = 10
"""Members and others whose trait is known, at least."""
SAME_THING = 0.7
"""Correlation within personas from which two traits say the same of a customer: only the stronger is a fact."""
MIN_CHANGE, MIN_SHARE_CHANGE = 0.1, 0.03
"""What a reader takes for a difference from the shop's usual: relative, and of a share."""


@dataclass(frozen=True)
class Fact:
    """One trait that sets a persona apart: its usual value, the shop's, and how well it tells members from others."""

    trait: str
    level: str | None
    unit: str
    value: float
    shop_value: float
    effect: float
    """Cliff's delta, -1 to 1: how much more often a member has more of it than another customer than the reverse."""
    name_code: str
    """Code that names it; '' where a name would not say it."""


@dataclass(frozen=True)
class Description:
    """Name and facts of a persona, the most telling first."""

    name_code: str
    facts: tuple[Fact, ...]


def describe(personas: Personas) -> tuple[Description, ...]:
    """Describe every persona, in the order of their ids."""
    if not personas.stabilities:
        return ()
    ranks = [mean_ranks(column.values) for column in personas.columns]
    correlation = _correlation_within(personas)
    effects = [_effects(personas, place, ranks) for place in range(len(personas.stabilities))]
    ranked = [_facts(personas, place, effect, correlation) for place, effect in enumerate(effects)]
    return tuple(
        Description(name, facts[:MAX_FACTS]) for name, facts in zip(distinct_names(ranked), ranked, strict=True)
    )


def _correlation_within(personas: Personas) -> Numbers:
    """Correlation of traits, without sign, among customers of the same persona: what a group shares is no reason."""
    places = personas.ids + 1
    sizes = np.maximum(np.bincount(places), 1)
    rest = [column.scaled - (np.bincount(places, column.scaled) / sizes)[places] for column in personas.columns]
    spread = np.maximum([np.sqrt((one**2).mean()) for one in rest], 1e-9)
    return np.abs([[(one * other).mean() for other in rest] for one in rest]) / spread / spread[:, None]


def distinct_names(ranked: Sequence[Sequence[Fact]]) -> list[str]:
    """Join the codes of the first two facts of each persona.

    Those that would share a name keep the first and take what none of the others has; a number, where there is nothing.
    """
    codes = [list(dict.fromkeys(fact.name_code for fact in facts if fact.name_code)) for facts in ranked]
    names = [parts[:NAME_PARTS] for parts in codes]
    for group in _sharing(names):
        for place in group:
            others = {code for other in group if other != place for code in codes[other]}
            peculiar = [code for code in codes[place] if code not in others]
            names[place] = [*codes[place][:1], *(code for code in peculiar[:1] if code != codes[place][0])] or [""]
    for group in _sharing(names):
        for number, place in enumerate(group, start=1):
            names[place] = [*names[place], str(number)]
    return ["+".join(filter(None, parts)) for parts in names]


def _sharing(names: Sequence[Sequence[str]]) -> list[list[int]]:
    """Places of personas with the same parts of a name, whatever their order, or with none."""
    places: dict[tuple[str, ...], list[int]] = {}
    for place, parts in enumerate(names):
        places.setdefault(tuple(sorted(filter(None, parts))), []).append(place)
    return [group for parts, group in places.items() if len(group) > 1 or not parts]


def _effects(personas: Personas, place: int, ranks: Sequence[Numbers]) -> Numbers:
    """Cliff's delta of every trait between members and other customers; 0 where too few are known."""
    is_member = personas.ids == place
    effects = np.zeros(len(ranks))
    for at, rank in enumerate(ranks):
        known = np.isfinite(rank)
        members, others = (int((known & group).sum()) for group in (is_member, ~is_member))
        if min(members, others) >= MIN_KNOWN:
            wins = rank[known & is_member].sum() - members * (members + 1) / 2
            effects[at] = 2 * wins / (members * others) - 1
    return np.round(effects, 6)


def _facts(personas: Personas, place: int, effects: Numbers, correlation: Numbers) -> tuple[Fact, ...]:
    """Facts of a persona, the most telling first; of traits that say the same, only the first."""
    chosen: list[int] = []
    facts: list[Fact] = []
    is_member = personas.ids == place
    for at in sorted(range(len(effects)), key=lambda trait: -abs(effects[trait])):
        column = personas.columns[at]
        if any(correlation[at, other] > SAME_THING for other in chosen) or (column.level and effects[at] < 0):
            continue
        value, shop_value = (usual(column, column.values[which]) for which in (is_member, slice(None)))
        is_apart = abs(effects[at]) >= NOTICEABLE and _differs(column, value, shop_value, effects[at])
        if is_apart or not facts:
            chosen.append(at)
            facts.append(_fact(column, value, shop_value, float(effects[at])))
    return tuple(facts)


def usual(column: TraitColumn, values: Numbers) -> float:
    """What is usual among customers: the median, of shares the mean."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0
    return float(known.mean() if column.trait.unit == "share" else np.median(known))


def _differs(column: TraitColumn, value: float, shop_value: float, effect: float) -> bool:
    change = value - shop_value
    least = MIN_SHARE_CHANGE if column.trait.unit == "share" else MIN_CHANGE * abs(shop_value)
    if column.trait.unit == "hour":
        least = 1.0
    return change * effect > 0 and abs(change) >= least


def _fact(column: TraitColumn, value: float, shop_value: float, effect: float) -> Fact:
    trait = column.trait
    code = trait.high if effect > 0 else trait.low
    if column.level is not None and code:
        code = f"{code}={quote(column.level, safe='')}"
    return Fact(
        trait.feature, column.level, unit=trait.unit, value=value, shop_value=shop_value, effect=effect, name_code=code
    )
