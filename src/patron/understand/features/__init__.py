"""Features: what was known of a customer at a cutoff, one column each; `meaning` is the data dictionary.

A file is a family, whose features are functions; `feature_family` is the one way in which facts meet cutoffs.
Orders: `order_history`, `order_regularity`, `order_months`, `order_times`, `order_weekdays`, `order_channels`,
`order_devices`. Money: `spend`.
Goods: `product_variety`, `category_tastes`, `category_changes`.
Behaviour: `activity`, `activity_days`, `message_response`. Declared: `declared_traits`.
People without an order: `acquisition`.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace

import pyarrow as pa

from patron.storage.runs.stage_view import StageView
from patron.understand.features import (
    acquisition,
    activity,
    activity_days,
    category_changes,
    category_tastes,
    declared_traits,
    message_response,
    order_channels,
    order_devices,
    order_history,
    order_months,
    order_regularity,
    order_times,
    order_weekdays,
    product_variety,
    spend,
)
from patron.understand.features.feature_family import CUTOFFS, Family, Feature, windows

FAMILIES: tuple[Family, ...] = (
    order_history.FAMILY,
    spend.FAMILY,
    order_regularity.FAMILY,
    product_variety.FAMILY,
    category_tastes.CATEGORIES,
    category_tastes.BRANDS,
    category_changes.FAMILY,
    activity.FAMILY,
    activity_days.FAMILY,
    message_response.FAMILY,
    order_times.FAMILY,
    order_weekdays.FAMILY,
    order_months.FAMILY,
    order_channels.FAMILY,
    order_devices.FAMILY,
    declared_traits.FAMILY,
)
OF_PROSPECTS: tuple[Family, ...] = (
    acquisition.FAMILY,
    activity.FAMILY,
    activity_days.FAMILY,
    message_response.FAMILY,
    declared_traits.FAMILY,
)
"""Families that say something about people without an order, who have no row in `features`."""
EVERY_FAMILY = (*FAMILIES, acquisition.FAMILY)
FEATURES: tuple[Feature, ...] = tuple(feature for family in FAMILIES for feature in family.features)


def meaning(feature: Feature) -> str:
    """What a feature means, with its unit."""
    return (feature.__doc__ or "").splitlines()[0]


def without_traits(families: Sequence[Family], sensitive: Collection[str]) -> tuple[Family, ...]:
    """The families with nothing but NULL for features that say what a sensitive trait says, `declared_<trait>`."""
    names = {f"declared_{trait}" for trait in sensitive}
    return tuple(
        replace(family, withheld=frozenset(feature.__name__ for feature in family.features) & names)
        for family in families
    )


def feature_version(zone: str, families: Sequence[Family] = FAMILIES) -> str:
    """Hash of all feature definitions: another version is another set of columns or meanings."""
    return hashlib.sha256("\n".join(family.sql(zone) for family in families).encode()).hexdigest()[:16]


def wide_sql(families: Sequence[Family] = FAMILIES) -> str:
    """Join the families' results, each given as the relation `family_<name>`, to one row per cutoff."""
    columns = ", ".join(f"f_{family.name}.{feature.__name__}" for family in families for feature in family.features)
    joins = " ".join(
        f"left join family_{family.name} f_{family.name}"
        f" on f_{family.name}.customer_id = m.customer_id and f_{family.name}.as_of = m.as_of"
        for family in families
    )
    return f"select m.customer_id, m.as_of, {columns} from {CUTOFFS} m {joins} order by m.as_of, m.customer_id"


def build_features(view: StageView) -> None:
    """Compute all features at the run's cutoffs, family by family so that memory stays bounded."""
    zone = view.settings.shop.time_zone
    run_id = view.run.run_id
    rows = "select customer_id, as_of from this_cutoffs"
    as_ofs = view.query(f"select distinct as_of from ({rows}) m order by as_of")["as_of"].to_pylist()
    cutoffs = view.query(
        f"select m.customer_id, w.* from ({rows}) m join windows w on w.as_of = m.as_of"
        " order by m.as_of, m.customer_id",
        windows=windows(as_ofs, zone),
    )
    quoted = f"'{zone}'"
    results: dict[str, pa.Table] = {CUTOFFS: cutoffs}
    families = without_traits(FAMILIES, view.policy.fairness.sensitive_traits)
    for family in families:
        results[f"family_{family.name}"] = view.query(family.sql(quoted), **{CUTOFFS: cutoffs})
    version = feature_version(quoted, families)
    sql = f"select '{run_id}' as run_id, '{version}' as feature_version, w.* from ({wide_sql()}) w"
    view.write_query("features", sql, **results)
