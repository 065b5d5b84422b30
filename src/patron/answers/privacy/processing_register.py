"""The register of processing activities (GDPR article 30): what is done with whose data, for whom, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from patron.answers.privacy.consent_trail import READ_PRIVACY
from patron.govern.access.operations import operation
from patron.schema.tables import TABLES
from patron.storage.offers.policy import PROFILING
from patron.storage.outreach.audience_file import AUDIENCE
from patron.storage.outreach.channel_settings import ChannelsSettings
from patron.storage.outreach.versioned_drafts import WITHDRAWN
from patron.storage.shop import Shop
from patron.storage.store.store import BY_CUSTOMER

TABLES_OF: Mapping[str, tuple[str, ...]] = {
    "collect": ("events", "token_pairs", "identities", "identity_changes", "traits", "consents", "sessions"),
    "orders": ("order_lines", "orders", "interactions", "referrals", "contracts", "customers"),
    "forecasts": (
        *("cutoffs", "features", "prospect_features", "segments", "segment_fields", "segment_members"),
        *("scores", "reasons", "repeat_purchase", "value_parts", "value_at_risk", "next_orders", "category_needs"),
        *("response_forecasts", "contract_forecasts", "past_forecasts", "survival_curves"),
    ),
    "offers": ("decisions", "alternatives", "propensities", "exposures", "experiment_arms", "offer_responders"),
    "messages": ("messages", "assignments", "journey_entries", "trigger_members"),
    "recommendations": ("affinities", "recommendations"),
    "audiences": ("audience_members",),
    "service": ("customer_notes", "customer_owners", "customer_tags", "customer_tasks", "watch_list_snoozes"),
    "requests": ("privacy_requests",),
    "webhooks": ("webhook_customers",),
}
"""Tables with data of people by the activity that they are for."""


@dataclass(frozen=True)
class Recipient:
    """Who gets data."""

    kind: str
    """Channel, audience, or file for an own mail system."""
    name: str


@dataclass(frozen=True)
class ProcessingActivity:
    """One activity; its texts are by its code."""

    code: str
    tables: tuple[str, ...]
    classes: tuple[str, ...]
    """Personal-data classes of the columns: token, trait, opaque_id, sealed."""
    basis: str
    """Consent purpose that it needs or that ends it; empty where it follows from the contract with the customer."""
    recipients: tuple[Recipient, ...] = ()


@dataclass(frozen=True)
class ProcessingRegister:
    """All activities of a workspace."""

    activities: tuple[ProcessingActivity, ...]
    unknown_consent: str
    """refuse or allow: what the policy says of unknown consent."""


@operation(READ_PRIVACY, "GET /api/privacy/processing")
def processing_register(shop: Shop) -> ProcessingRegister:
    """The register of processing activities."""
    policy, channels = shop.policy, _channels(shop.settings.channels)
    bases = {
        "collect": policy.consent.events_need,
        "forecasts": PROFILING,
        "offers": policy.consent.personal_offers,
        "messages": policy.consent.marketing,
        "recommendations": PROFILING,
        "audiences": policy.consent.advertising,
    }
    recipients = {
        "offers": (Recipient("file", "outbox"),),
        "messages": channels,
        "audiences": _audiences(shop),
    }
    activities = (
        ProcessingActivity(
            code, tables, classes=_classes(tables), basis=bases.get(code, ""), recipients=recipients.get(code, ())
        )
        for code, tables in TABLES_OF.items()
    )
    return ProcessingRegister(tuple(activities), policy.consent.unknown)


def personal_tables() -> frozenset[str]:
    """Every table with data of people, of the lake and of the store."""
    of_lake = {table.name for table in TABLES if any(column.personal != "none" for column in table.columns)}
    return frozenset(of_lake | {table.name for table in BY_CUSTOMER})


def _classes(names: tuple[str, ...]) -> tuple[str, ...]:
    of_lake = (column.personal for table in TABLES if table.name in names for column in table.columns)
    in_store = [table for table in BY_CUSTOMER if table.name in names]
    of_store = ["opaque_id", *("sealed" for table in in_store if "content" in table.c)] if in_store else []
    return tuple(sorted({*of_lake, *of_store} - {"none"}))


def _channels(settings: ChannelsSettings) -> tuple[Recipient, ...]:
    return tuple(Recipient(name, settings.section(name).recipient) for name in settings.configured)


def _audiences(shop: Shop) -> tuple[Recipient, ...]:
    with shop.store.begin() as connection:
        saved = [one for one in AUDIENCE.all_saved(connection) if one.state != WITHDRAWN]
    places = {one.name: one.content.destination for one in saved}
    return tuple(
        Recipient("audience", f"{name}: {urlsplit(place.url).hostname or place.kind}") for name, place in places.items()
    )
