"""Options of the lists of customers, as pairs or triples of value, text and count, for their templates."""

from collections.abc import Iterable, Mapping
from typing import Any

from patron.answers.customers.customer_filters import COLUMNS
from patron.answers.customers.customer_list import CustomerPage
from patron.answers.customers.customer_marks import StaffMember
from patron.interfaces.i18n.translations import Words
from patron.segments.segment_rules import ANSWERS

Option = tuple[str, str, int | None]


def stage_options(listing: CustomerPage, t: Words) -> list[Option]:
    """Lifecycle stages."""
    return [(stage.value, t.code("stage", stage.value), stage.customer_count) for stage in listing.lifecycle_stages]


def persona_options(listing: CustomerPage, t: Words) -> list[Option]:
    """Personas."""
    return [(persona.value, t.persona(persona.name_code), persona.customer_count) for persona in listing.personas]


def category_options(listing: CustomerPage) -> list[Option]:
    """Categories that were bought."""
    return [(category.value, category.value, category.customer_count) for category in listing.categories]


def channel_options(listing: CustomerPage, t: Words) -> list[Option]:
    """Acquisition channels."""
    return [(channel.value, t.code("channel", channel.value), channel.customer_count) for channel in listing.channels]


def country_options(listing: CustomerPage) -> list[Option]:
    """Countries."""
    return [(country.value, country.value, country.customer_count) for country in listing.countries]


def consent_options(t: Words) -> list[Option]:
    """Answers about marketing."""
    return [(answer, t(f"consent_answer.{answer}"), None) for answer in ANSWERS]


def column_options(t: Words) -> list[tuple[str, str]]:
    """Columns to choose from."""
    return [(code, t(f"list_column.{code}")) for code in COLUMNS]


def table_columns(columns: Iterable[Mapping[str, Any]], t: Words) -> list[dict[str, Any]]:
    """Heads of the table: the customer, then the columns shown."""
    heads = [{**column, "text": t(f"list_column.{column['code']}")} for column in columns]
    return [{"text": t("column.customer")}, *heads]


def staff_names(staff: Iterable[StaffMember]) -> dict[str, str]:
    """Names by user id."""
    return {one.user_id: one.name for one in staff}


def author(actor: str) -> str:
    """Name of who did something, as colleagues know them: without the id of their account."""
    return actor.rpartition(" (user ")[0] or actor


OPTIONS: dict[str, Any] = {
    function.__name__: function
    for function in (
        stage_options,
        persona_options,
        category_options,
        channel_options,
        country_options,
        consent_options,
        column_options,
        table_columns,
        staff_names,
        author,
    )
}
"""For templates, by name."""
