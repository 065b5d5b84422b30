"""Enter what was spent on winning customers, by channel and month: payback is measured against it."""

import re
from dataclasses import dataclass
from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from patron.govern.access.operations import operation
from patron.govern.access.request_context import RequestContext
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.access.audit_actions import AuditAction
from patron.schema.amounts import cents_of
from patron.schema.common_sentences import NOT_A_MONTH
from patron.schema.errors import BadFile
from patron.schema.pasted_lines import pasted_lines
from patron.schema.sentences import Sentence
from patron.schema.spelling import did_you_mean
from patron.storage.insight.cost_tables import ACQUISITION_COSTS
from patron.storage.outreach.versioned_drafts import person
from patron.storage.runs.last_run import last_run
from patron.storage.shop import Shop
from patron.storage.store.store import upsert

COSTS_INVALID = Sentence("costs_invalid", "the cost {cost!r} {problem}")
COSTS_LINES = Sentence("costs_lines", "{count:,} lines instead of 1 to {most:,}")
COSTS_CELLS = Sentence("costs_cells", "{count} cells instead of channel, month and cost")
COSTS_CHANNELS = Sentence("costs_channels", "Channels are {names}.")
COSTS_CHANNEL = Sentence("costs_channel", "no customer came through the channel {name!r}")
COST_NEGATIVE = Sentence("cost_negative", "the cost {cost!r} is below zero")
WRITE_MONTH = Sentence("write_month", "Write it as 2026-03.")
COST_AMOUNT = Sentence("cost_amount", "Write it as 1250.00.")

MAX_ROWS = 5_000
MONTH = re.compile(r"(19|20)\d\d-(0[1-9]|1[0-2])")
MAX_TEXT_LENGTH = 500_000
CostLines = Annotated[str, Field(max_length=MAX_TEXT_LENGTH, examples=["web,2026-03,1250.00"])]
HEADER = ("channel", "month", "cost")
TODO = Sentence(
    "costs_todo",
    "Write one line per channel and month, such as `web,2026-03,1250.00`; leave the cost out to delete it.",
)


@dataclass(frozen=True)
class EnteredCosts:
    """How many costs were entered or replaced, and how many deleted."""

    entered_count: int
    deleted_count: int


@operation(Right(Action.ACT, Area.CAMPAIGNS), "POST /api/retention/costs", audit=AuditAction.ACQUISITION_COSTS_ENTERED)
def enter_acquisition_costs(context: RequestContext, costs: CostLines) -> EnteredCosts:
    """Enter what was spent on winning customers, by channel and month; all lines, or none.

    Lines of a CSV text are channel, month, and cost in units of the shop's currency. Commas, semicolons and tabs part
    the cells; a first line of names is left out. A line that is entered again replaces the earlier one, and one without
    a cost deletes it. Raises BadFile with the number of the line, NoRunYet.
    """
    author, rows = person(context.by), _rows(context.shop, costs)
    entered = [
        {"channel": channel, "month": month, "cost_cents": cents, "entered_at": context.now, "entered_by": author}
        for (channel, month), cents in rows.items()
        if cents is not None
    ]
    deleted = [key for key, cents in rows.items() if cents is None]
    table = ACQUISITION_COSTS.c
    with context.shop.store.begin() as connection:
        upsert(connection, ACQUISITION_COSTS, entered, update=("cost_cents", "entered_at", "entered_by"))
        for channel, month in deleted:
            connection.execute(sa.delete(ACQUISITION_COSTS).where(table.channel == channel, table.month == month))
        details = {"entered": len(entered), "deleted": len(deleted), "by": author}
        context.record(connection, AuditAction.ACQUISITION_COSTS_ENTERED, details)
    return EnteredCosts(len(entered), len(deleted))


def _rows(shop: Shop, text: str) -> dict[tuple[str, str], int | None]:
    """The cost of each channel and month, cents; None deletes it. Raises BadFile."""
    lines = pasted_lines(text, HEADER)
    if not 0 < len(lines) <= MAX_ROWS:
        raise BadFile(COSTS_LINES(count=len(lines), most=MAX_ROWS), where="costs", todo=TODO)
    channels = _channels(shop)
    rows: dict[tuple[str, str], int | None] = {}
    for number, cells in lines:
        channel, month, cents = _line(cells, f"line {number}", channels)
        rows[channel, month] = cents
    return rows


def _line(cells: list[str], where: str, channels: frozenset[str]) -> tuple[str, str, int | None]:
    channel, month, cost = (*cells, "", "", "")[:3]
    if not 2 <= len(cells) <= len(HEADER):
        raise BadFile(COSTS_CELLS(count=len(cells)), where=where, todo=TODO)
    if channel not in channels:
        todo = did_you_mean(channel, sorted(channels)) or COSTS_CHANNELS(
            names=", ".join(sorted(channels)) or "not known"
        )
        raise BadFile(COSTS_CHANNEL(name=channel), where=where, todo=todo)
    if not MONTH.fullmatch(month):
        raise BadFile(NOT_A_MONTH(text=month), where=where, todo=WRITE_MONTH)
    if not cost:
        return channel, month, None
    try:
        cents = cents_of(cost)
    except ValueError as error:
        raise BadFile(COSTS_INVALID(cost=cost, problem=error.args[0]), where=where, todo=COST_AMOUNT) from None
    if cents < 0:
        raise BadFile(COST_NEGATIVE(cost=cost), where=where, todo=TODO)
    return channel, month, cents


def _channels(shop: Shop) -> frozenset[str]:
    """Channels by which customers came, at the last run."""
    rows = last_run(shop).query("select distinct acquisition_channel as channel from customers where is_identified")
    return frozenset(channel for channel in rows["channel"].to_pylist() if channel)
