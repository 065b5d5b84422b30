"""Groups of customers by a sensitive trait: read for one run, kept in memory only, never written for a customer.

What policy.toml declares sensitive may be in clear (`traits`) or in the vault, where gender or age always are. The
vault is opened for nobody unless a trait is declared. The last value known by the cutoff counts, in small letters.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa

from patron.schema.personal_data import json_object, text_of
from patron.schema.personal_keys import snake_case
from patron.schema.table_definition import TEXT
from patron.storage.engine import sql_list, timestamp
from patron.storage.stage_view import VAULT, StageView

MOST_VALUES = 10
"""Numbers with more different values than this are grouped by tens."""
YEAR = re.compile(r"((?:19|20)\d\d)(?:[-/.]\d\d?){0,2}(?:[T ].*)?")
"""A year or a date that begins with one."""
NUMBER = re.compile(r"-?\d{1,6}(?:\.\d+)?")
DECADE = 10

Groups = Mapping[str, Mapping[str, str]]
"""By trait: the group of each customer_id whose value is known."""


def read_groups(view: StageView, traits: Sequence[str]) -> Groups:
    """Groups of all customers by each of these traits. Raises MasterKeyError when the vault does not open."""
    values = _plain_values(view, traits)
    for customer, trait, value in _vault_values(view, traits):
        values[trait][customer] = value
    return {trait: _grouped(values[trait]) for trait in traits}


def _plain_values(view: StageView, traits: Sequence[str]) -> dict[str, dict[str, str]]:
    values: dict[str, dict[str, str]] = {trait: {} for trait in traits}
    sql = f"""
select customer_id, trait, value from traits
where trait in {sql_list(traits)} and known_at < {timestamp(view.run.as_of)}
order by occurred_at, known_at, event_id"""
    for row in view.query(sql).to_pylist():
        values[row["trait"]][row["customer_id"]] = row["value"].strip().casefold()
    return values


def _vault_values(view: StageView, traits: Sequence[str]) -> list[tuple[str, str, str]]:
    """(customer_id, trait, value) in order of time, from what the vault keeps of identified events."""
    tokens = view.query("select token, customer_id from identities order by token")
    customers = dict(zip(tokens["token"].to_pylist(), tokens["customer_id"].to_pylist(), strict=True))
    values: list[tuple[str, str, str, str]] = []
    for row in view.capability(VAULT).texts(list(customers), ("personal",)):
        for name, value in json_object(row["text"]).items():
            text = text_of(value)
            if snake_case(name) in traits and text:
                values.append((row["event_id"], customers[row["token"]], snake_case(name), text.casefold()))
    known = _known_times(view, [event for event, *_ in values])
    dated = sorted((known[event], event, *rest) for event, *rest in values if event in known)
    return [(customer, trait, value) for _, _, customer, trait, value in dated]


def _known_times(view: StageView, events: Sequence[str]) -> dict[str, datetime]:
    """When each of these events happened, of those known by the cutoff."""
    declared = pa.table({"event_id": pa.array(sorted(set(events)), TEXT)})
    sql = f"""
select e.event_id, max(e.occurred_at) as occurred_at
from events e join declared d on d.event_id = e.event_id
where e.known_at < {timestamp(view.run.as_of)} group by e.event_id"""
    rows = view.query(sql, declared=declared)
    return dict(zip(rows["event_id"].to_pylist(), rows["occurred_at"].to_pylist(), strict=True))


def _grouped(values: Mapping[str, str]) -> dict[str, str]:
    """The group of each customer: the value, or the ten that a number or the decade that a date is in."""
    if len(set(values.values())) <= MOST_VALUES:
        return dict(values)
    return {customer: _range(value) for customer, value in values.items()}


def _range(value: str) -> str:
    year = YEAR.fullmatch(value)
    number = int(year[1]) if year else float(value) if NUMBER.fullmatch(value) else None
    if number is None:
        return value
    first = int(number // DECADE) * DECADE
    return f"{first}-{first + DECADE - 1}"
