"""How a person came to the shop; made of those who have not ordered yet, not a part of the table `features`."""

from patron.storage.engine import sql_list
from patron.understand.facts.interactions import DONE_TO_CUSTOMERS
from patron.understand.features.feature_family import Family, how_many, known_before


def rows(_zone: str) -> str:
    """Signs of life known by the cutoff, each with its place from the first on."""
    facts = f"""
        select customer_id, source, event_id, occurred_at, known_at, kind, channel, device, campaign_id, local_hour,
            local_day
        from interactions where is_identified and kind not in {sql_list(DONE_TO_CUSTOMERS)}"""
    columns = "source, event_id, occurred_at, kind, channel, device, campaign_id, local_hour, local_day"
    first = "partition by customer_id, as_of order by {0} occurred_at, event_id, source"
    has_campaign = "case when campaign_id is null then 1 else 0 end,"
    return f"""
        select p.*, row_number() over ({first.format("")}) as place,
            row_number() over ({first.format(has_campaign)}) as campaign_place
        from ({known_before(facts, columns=columns)}) p"""


def _first(column: str) -> str:
    return f"max(case when place = 1 then {column} end)"


def is_registered() -> str:
    """1 for who has registered, 0 for who is known by a sign-in or a contact only."""
    return "max(case when kind = 'registration' then 1 else 0 end)"


def sign_of_life_count() -> str:
    """Things the person did, ever."""
    return how_many("kind is not null")


def page_count() -> str:
    """Pages and product lists seen, ever."""
    return how_many("kind in ('page', 'list_view')")


def checkout_count() -> str:
    """Steps of a checkout that led to no order so far."""
    return how_many("kind = 'checkout'")


def message_answer_count() -> str:
    """Messages opened or clicked, ever."""
    return how_many("kind in ('message_opened', 'message_clicked')")


def first_hour() -> str:
    """Hour of the first sign of life, 0 to 23, the shop's time."""
    return _first("local_hour")


def first_weekday() -> str:
    """Weekday of the first sign of life, Monday 0, the shop's calendar."""
    return f"({_first('local_day')} + 3) % 7"


def first_channel() -> str:
    """Channel of the first sign of life."""
    return _first("channel")


def first_device() -> str:
    """Device of the first sign of life."""
    return _first("device")


def first_campaign() -> str:
    """The first campaign that a sign of life names."""
    return "max(case when campaign_place = 1 then campaign_id end)"


FAMILY = Family(
    "arrivals",
    rows,
    (
        is_registered,
        sign_of_life_count,
        page_count,
        checkout_count,
        message_answer_count,
        first_hour,
        first_weekday,
    ),
    (first_channel, first_device, first_campaign),
)
FEATURES = FAMILY.features
