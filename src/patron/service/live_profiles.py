"""The live profile of a customer: the profiles of all of their tokens, merged."""

from datetime import datetime
from functools import reduce

import pyarrow as pa

from patron.govern.vault import PREFIXES, Vault, initial_customer_id, normal_form
from patron.schema.customers.live_profile import LiveProfile
from patron.schema.errors import NoRunYet
from patron.schema.numbers import float_column
from patron.service.order_probability import with_order_probability
from patron.service.profile_reader import read_profiles
from patron.storage.engine import timestamp
from patron.storage.runs.last_run import last_run, records
from patron.storage.shop import Shop, Snapshot
from patron.understand.lifecycle_stages import DAYS_WITHOUT_HISTORY, median_pace_days
from patron.understand.profiles.profile_view import StageAtRun, ViewContext, live_profile_of
from patron.understand.profiles.profile_writer import has_profiles
from patron.understand.profiles.token_profile import TokenProfile, merge

CONTACT_KINDS = ("email", "phone")
MIN_DIGITS = 5
"""Digits that a text needs to be looked up as a telephone number."""
MAX_TOKENS, MAX_FOUND = 50, 10
"""Ids that are followed, and customers that are named, when many share a contact."""


def live_profile(shop: Shop, customer_id: str, *, now: datetime) -> LiveProfile | None:
    """Live profile of a customer; None when no event of theirs is known or profiles were never built.

    A customer's tokens are those of the last run's identities, and devices that only they have used since. A visitor
    who has become known since the run is shown as the customer they are now. Raises InboxDamaged.
    """
    if shop.cutoff is not None or not has_profiles(shop):
        return None  # why: what is live was not known at a past run
    view = _last_run_or_none(shop)
    tokens = _tokens_of(view, customer_id)
    profile_by_token = read_profiles(shop, customer_ids=() if tokens else (customer_id,), tokens=tokens)
    if not any(map(_is_user, profile_by_token)):
        owners = sorted({profile.owner for profile in profile_by_token.values() if profile.owner})
        if owners:
            return live_profile(shop, _customer_of(view, owners[0]), now=now)
    own_profiles = _without_other_customers(view, customer_id, profile_by_token)
    if not own_profiles:
        return None
    profile = reduce(merge, own_profiles.values())
    context = _view_context(shop, view, customer_id, now)
    live = live_profile_of(customer_id, profile, context, is_identified=any(map(_is_user, own_profiles)))
    return with_order_probability(live, view, own_profiles, profile)


def find_live_profiles(shop: Shop, text: str, *, now: datetime) -> dict[str, LiveProfile | None]:
    """Customers whom one of the shop's own ids, an e-mail address or a telephone number names, with their live profile.

    The best match first: the very id as of a user, then of a visitor, then in another case, then a contact.
    At most ten. Stores nothing. Raises InboxDamaged.
    """
    vault, written = Vault.open(shop), text.strip()
    exact, *others = vault.tokens_with_user_id(written)
    contacts = [token for kind in CONTACT_KINDS for token in _tokens_with_contact(vault, kind, written)]
    tokens = list(dict.fromkeys([exact, vault.token("anonymous_id", written), *others, *contacts]))[:MAX_TOKENS]
    known = _customer_by_token(_last_run_or_none(shop), tokens)
    found: dict[str, LiveProfile | None] = {}
    for token in tokens:
        customer_id = known.get(token, initial_customer_id(token))
        live = live_profile(shop, customer_id, now=now)
        if (live or token in known) and len(found) < MAX_FOUND:
            found.setdefault(live.customer_id if live else customer_id, live)
    return found


def _tokens_with_contact(vault: Vault, kind: str, text: str) -> list[str]:
    """Tokens with a contact; nothing where the text cannot be one: every word without digits would be one number."""
    is_contact = "@" in text if kind == "email" else len(normal_form(kind, text).strip("+")) >= MIN_DIGITS
    return vault.tokens_with_contact(kind, text) if is_contact else []


def _customer_of(view: Snapshot | None, token: str) -> str:
    """Customer of a token: from the last run's identities, else a customer of this token alone."""
    return _customer_by_token(view, [token]).get(token, initial_customer_id(token))


def _last_run_or_none(shop: Shop) -> Snapshot | None:
    try:
        return last_run(shop)
    except NoRunYet:
        return None


def _tokens_of(view: Snapshot | None, customer_id: str) -> list[str]:
    if view is None:
        return []
    rows = records(view.customer_rows("identities", customer_id).select(["token", "shared_from"]))
    return sorted(row["token"] for row in rows if row["shared_from"] is None)


def _without_other_customers(
    view: Snapshot | None, customer_id: str, profile_by_token: dict[str, TokenProfile]
) -> dict[str, TokenProfile]:
    """Profiles without those of tokens that belong to another customer in the last run."""
    # why: all identities are read for a token, few for a customer
    own_tokens = set(_tokens_of(view, customer_id))
    customer_by_token = _customer_by_token(view, [token for token in profile_by_token if token not in own_tokens])
    return {
        token: profile
        for token, profile in profile_by_token.items()
        if customer_by_token.get(token, customer_id) in {customer_id, initial_customer_id(token)}
    }


def _customer_by_token(view: Snapshot | None, tokens: list[str]) -> dict[str, str]:
    if view is None or not tokens:
        return {}
    sql = """
select i.token, i.customer_id from identities i join selected a on a.token = i.token where i.shared_from is null"""
    rows = records(view.query(sql, selected=pa.table({"token": pa.array(tokens, pa.string())})))
    return {row["token"]: row["customer_id"] for row in rows}


def _view_context(shop: Shop, view: Snapshot | None, customer_id: str, now: datetime) -> ViewContext:
    settings = shop.settings.shop
    rates = {**shop.settings.rates, settings.currency: 1.0, "": 1.0}
    if view is None:
        return ViewContext(now, settings.time_zone, rates, DAYS_WITHOUT_HISTORY)
    pace = view.once("days between orders", lambda: _shop_pace(view))
    return ViewContext(
        now, settings.time_zone, rates=rates, pace_days=pace, stage_at_run=_stage_at_run(view, customer_id)
    )


def _shop_pace(view: Snapshot) -> float:
    """The shop's days between orders at the last run."""
    run = view.run
    sql = f"""
select days_from_first_to_last_order, order_day_count_lifetime from this_features
where as_of = {timestamp(run.as_of)} and order_day_count_lifetime > 1"""
    rows = view.query(sql)
    gaps = float_column(rows, "order_day_count_lifetime") - 1
    return median_pace_days(float_column(rows, "days_from_first_to_last_order"), gaps)


def _stage_at_run(view: Snapshot, customer_id: str) -> StageAtRun | None:
    rows = records(view.customer_rows("segments", customer_id, is_of_run=True).select(["lifecycle_stage", "as_of"]))
    return StageAtRun(**rows[0]) if rows else None


def _is_user(token: str) -> bool:
    return token.startswith(PREFIXES["user_id"] + "_")
