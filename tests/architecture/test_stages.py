"""The rules of the design that hold between stages."""

import importlib
import re

import pytest

from patron.schema.tables import BY_NAME, TABLES

STAGES = ("collect", "understand", "predict", "decide", "engage", "measure", "simulate")
TAKEN_BY_PEOPLE = {
    "cleaning",
    "personas",
    "backtests",
    "order_models",
    "shop_forecasts",
    "repeat_orders",
    "forecast_checks",
    "drift",
    "recommendations",
    "sessions",
    "products",
}
"""Tables whose readers are the report and the console."""


def stage(name: str):
    return importlib.import_module(f"patron.{name}")


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_says_in_one_sentence_what_it_does_and_declares_its_tables(name):
    module = stage(name)
    assert module.__doc__
    assert re.fullmatch(r"[^.]+\.", module.__doc__.strip()), module.__doc__
    assert set(module.READS) | set(module.WRITES) <= BY_NAME.keys()


def test_every_table_has_exactly_one_writer():
    writers = {table.name: [name for name in STAGES if table.name in stage(name).WRITES] for table in TABLES}
    assert {name: who for name, who in writers.items() if len(who) != 1} == {}


def test_every_table_is_read_by_a_stage_or_shown_to_people():
    read = {table for name in STAGES for table in stage(name).READS}
    unread = BY_NAME.keys() - read - TAKEN_BY_PEOPLE
    assert unread - {table for name in STAGES for table in stage(name).WRITES if name == "understand"} == set()


def test_the_loop_is_closed():
    """Following tables from their writer to their readers, one comes from collect back to collect."""
    follows = {
        name: {other for other in STAGES if set(stage(name).WRITES) & set(stage(other).READS)} - {name}
        for name in STAGES
    }
    follows["engage"].add("collect")  # what engage did is told to collect as events
    reached: set[str] = set()
    ahead = {"collect"}
    while ahead:
        reached |= ahead
        ahead = {after for name in ahead for after in follows[name]} - reached
    assert {"understand", "predict", "decide", "engage", "measure"} <= reached
    assert "collect" in follows["engage"]
    assert "decide" in follows["measure"]
