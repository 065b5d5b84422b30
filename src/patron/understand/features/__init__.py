"""Features: what was known of a customer at a moment, one column each; `meaning` is the data dictionary."""

import hashlib
from collections.abc import Sequence

import pyarrow as pa

from patron.base.shop import View
from patron.understand.features import (
    activity,
    arrivals,
    channels,
    devices,
    habits,
    messages,
    money,
    orders,
    products,
    regularity,
    tastes,
    traits,
    visits,
    weekdays,
)
from patron.understand.features.family import MOMENTS, Family, Feature, windows

FAMILIES: tuple[Family, ...] = (
    orders.FAMILY,
    money.FAMILY,
    regularity.FAMILY,
    products.FAMILY,
    tastes.CATEGORIES,
    tastes.BRANDS,
    activity.FAMILY,
    visits.FAMILY,
    messages.FAMILY,
    habits.FAMILY,
    weekdays.FAMILY,
    channels.FAMILY,
    devices.FAMILY,
    traits.FAMILY,
)
OF_NEWCOMERS: tuple[Family, ...] = (
    arrivals.FAMILY,
    activity.FAMILY,
    visits.FAMILY,
    messages.FAMILY,
    traits.FAMILY,
)
"""Families that say something about people without an order, who have no row in `features`."""
EVERY_FAMILY = (*FAMILIES, arrivals.FAMILY)
FEATURES: tuple[Feature, ...] = tuple(feature for family in FAMILIES for feature in family.features)


def meaning(feature: Feature) -> str:
    """What a feature means, with its unit."""
    return (feature.__doc__ or "").splitlines()[0]


def feature_version(zone: str) -> str:
    """Hash of all feature definitions: another version is another set of columns or meanings."""
    return hashlib.sha256("\n".join(family.sql(zone) for family in FAMILIES).encode()).hexdigest()[:16]


def wide_sql(families: Sequence[Family] = FAMILIES) -> str:
    """Join the families' results, each given as the relation `family_<name>`, to one row per moment."""
    columns = ", ".join(f"f_{family.name}.{one.__name__}" for family in families for one in family.features)
    joins = " ".join(
        f"left join family_{family.name} f_{family.name}"
        f" on f_{family.name}.customer_id = m.customer_id and f_{family.name}.as_of = m.as_of"
        for family in families
    )
    return f"select m.customer_id, m.as_of, {columns} from {MOMENTS} m {joins} order by m.as_of, m.customer_id"


def build_features(view: View) -> None:
    """Compute all features at the turn's moments, family by family so that memory stays bounded."""
    zone = view.settings.shop.time_zone
    turn_id = view.turn.turn_id
    mine = f"select customer_id, as_of from moments where turn_id = '{turn_id}'"
    as_ofs = view.query(f"select distinct as_of from ({mine}) m")["as_of"].to_pylist()
    moments = view.query(
        f"select m.customer_id, w.* from ({mine}) m join windows w on w.as_of = m.as_of", windows=windows(as_ofs, zone)
    )
    quoted = f"'{zone}'"
    results: dict[str, pa.Table] = {MOMENTS: moments}
    for family in FAMILIES:
        results[f"family_{family.name}"] = view.query(family.sql(quoted), **{MOMENTS: moments})
    sql = f"select '{turn_id}' as turn_id, '{feature_version(quoted)}' as feature_version, w.* from ({wide_sql()}) w"
    view.write_query("features", sql, **results)
