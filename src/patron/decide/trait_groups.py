"""Groups of customers by a sensitive trait: read for one run, kept in memory only, never written for a customer.

What policy.toml declares sensitive may be in clear (`traits`) or in the vault, where gender or age always are. The
vault is opened for nobody unless a trait is declared. The last value known by the cutoff counts, in small letters.
What a group is called is written and shown, so that a name must tell nobody apart: a date is its decade, and values
that few customers share are one group.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import pyarrow as pa

from patron.govern.privacy.personal_data import json_object, text_of
from patron.schema.privacy.personal_keys import snake_case
from patron.schema.table_definition import TEXT
from patron.storage.engine import sql_list, timestamp
from patron.storage.runs.stage_view import VAULT, StageView

MAX_NUMBERS = 10
"""Numbers with more different values than this are grouped by tens."""
MAX_GROUPS = 20
"""Groups of a trait that are kept apart, the largest; all others are one."""
MAX_NAME_LENGTH = 40
"""Values are cut to this many characters: anybody with a write key can send longer ones."""
OTHER = "other"
"""The group of all values that are too rare for one of their own."""
YEAR = re.compile(
    r"(?<!\d)((?:19|20)\d\d)(?:(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))?(?!\d)"
    r"|(?<!\d)(?:(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])|(?:0[1-9]|1[0-2])(?:[12]\d|3[01]))((?:19|20)\d\d)(?!\d)"
)
"""A year of four digits, alone, in a date or in a text, or in a date of eight digits."""
SHORT_DATE = re.compile(r"(\d\d?)([-/.])\d\d?\2(\d\d)(?:[t ].*)?")
"""A date whose year has two digits, at its end or, over 31, at its beginning."""
LAST_DAY = 31
CENTURY = 100
NUMBER = re.compile(r"-?\d{1,6}(?:\.\d+)?")
DECADE = 10

Groups = Mapping[str, Mapping[str, str]]
"""By trait: the group of each customer_id whose value is known."""


def read_groups(view: StageView, traits: Sequence[str]) -> Groups:
    """Groups of all customers by each of these traits. Raises MasterKeyError when the vault does not open."""
    values = _plain_values(view, traits)
    for customer, trait, value in _vault_values(view, traits):
        values[trait][customer] = value
    fewest, year = view.policy.fairness.fewest_customers, view.run.as_of.year
    return {trait: group_values(values[trait], fewest=fewest, year=year) for trait in traits}


def group_values(values: Mapping[str, str], *, fewest: int, year: int) -> dict[str, str]:
    """The group of each customer by the value of a trait: decades, tens, values, and `other` for the rest.

    A value of fewer than `fewest` customers has no group of its own. No date is after `year`.
    """
    short = {customer: value[:MAX_NAME_LENGTH].strip() for customer, value in values.items()}
    numbers = {value for value in short.values() if NUMBER.fullmatch(value)}
    names = {value: _group_name(value, year, is_by_tens=len(numbers) > MAX_NUMBERS) for value in set(short.values())}
    groups = {customer: names[value] for customer, value in short.items()}
    counts = sorted(Counter(groups.values()).items(), key=lambda one: (-one[1], one[0]))
    kept = {name for name, count in counts[:MAX_GROUPS] if count >= fewest}
    return {customer: name if name in kept else OTHER for customer, name in groups.items()}


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


def _group_name(value: str, year: int, *, is_by_tens: bool) -> str:
    """The decade of a date, the ten of a number where numbers are many, and any other value itself."""
    dated = _year(value, year)
    if dated is None and not (is_by_tens and NUMBER.fullmatch(value)):
        return value
    first = int(float(value) // DECADE if dated is None else dated // DECADE) * DECADE
    return f"{first}-{first + DECADE - 1}"


def _year(value: str, latest: int) -> int | None:
    """The year of a date or of a text with one year in it; one of two digits is the last such by `latest`."""
    years = {first or second for first, second in YEAR.findall(value)}
    if len(years) == 1:
        return int(years.pop())
    date = SHORT_DATE.fullmatch(value)
    if date is None:
        return None
    short = int(date[1] if int(date[1]) > LAST_DAY else date[3])
    return latest - (latest - short) % CENTURY
