"""The rules of the design that hold between stages: what each declares, and that together they are a closed loop."""

import importlib
import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pytest
from tests.support.shops.campaign_shop import approve

import patron.run
from patron.commands.data.import_files import import_files
from patron.commands.data.init_workspace import create
from patron.govern.outreach.suppression_list import ALL_TOPICS, COMPLAINT, suppress
from patron.run import STEPS, loop_edges, run_loop, stage_view
from patron.schema.tables import BY_NAME, EVENTS, TABLES
from patron.segments.segment_rules import TagRule
from patron.storage.runs.stage_view import CAPABILITIES, StageView
from patron.storage.segments.segment_definitions import save_definition
from patron.storage.shop import Shop
from patron.storage.store.declared_store import mentioned_tables
from patron.storage.store.store import METADATA

pytestmark = pytest.mark.xdist_group("stages")  # its workspace takes long to make

STAGES = ("collect", "understand", "predict", "decide", "engage", "measure", "simulate")
LOOP = tuple(name for name in STAGES if name != "simulate")
LINES_HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
POLICY = """
[consent]
unknown = "allow"
[at_risk]
lifecycle_stages = ["new", "active", "at_risk", "lapsed"]
active_within_days = 400
[channel]
confirm = "automatic"
[fairness]
sensitive_traits = ["country", "gender"]
[[offers]]
id = "TEN"
discount_share = 0.1
contact_cost_cents = 5
assumed_purchase_uplift = 1.0
"""


@dataclass(frozen=True)
class Declaration:
    """What one stage declares."""

    reads: frozenset[str]
    writes: frozenset[str]
    returns: frozenset[str]


def stage(name: str):
    return importlib.import_module(f"patron.{name}")


def declarations() -> dict[str, Declaration]:
    return {
        name: Declaration(*(frozenset(declared) for declared in (module.READS, module.WRITES, module.RETURNS)))
        for name in LOOP
        for module in [stage(name)]
    }


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_says_in_one_sentence_what_it_does_and_declares_its_tables(name):
    module = stage(name)
    assert module.__doc__
    assert re.fullmatch(r"[^.]+\.", module.__doc__.strip()), module.__doc__
    declared = {*module.READS, *module.WRITES}
    assert declared <= BY_NAME.keys() | METADATA.tables.keys() | CAPABILITIES
    assert set(module.RETURNS) <= {"events"}


def test_every_table_has_exactly_one_writer():
    writers = {table.name: [name for name in STAGES if table.name in stage(name).WRITES] for table in TABLES}
    assert {name: who for name, who in writers.items() if len(who) != 1} == {}


def test_every_table_is_read_by_another_stage_or_by_people():
    read = {table for name in STAGES for table in {*stage(name).READS} - {*stage(name).WRITES}}
    for_people = {table.name for table in TABLES if table.is_for_people}
    assert BY_NAME.keys() - read - for_people - {"events"} == set()
    assert for_people & read == set()


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """What each stage touched in a small real run: lake tables, store tables and capabilities.

    A second run goes as far as measure, which looks at the offers of the first.
    """
    folder = tmp_path_factory.mktemp("loop")
    touched: dict[str, set[str]] = defaultdict(set)

    def recording_view(shop, module, **options):
        view = stage_view(shop, module, **options)
        record_uses(view, touched[module.__name__.rpartition(".")[2]])
        return view

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.setattr(patron.run, "stage_view", recording_view)
        create(folder / "w")
        (folder / "w" / "policy.toml").write_text(POLICY, encoding="utf-8")
        (folder / "lines.csv").write_text("\n".join([LINES_HEADER, *invoice_lines()]) + "\n", encoding="utf-8")
        shop = Shop.open(folder / "w")
        import_files(
            shop, [str(folder / "lines.csv")], "online-retail", progress=lambda *_: None, now=datetime.now(UTC)
        )
        shop.reload_settings()  # the import has set currency and time zone
        with shop.store.begin() as connection:
            suppress(connection, "somebody", "email", ALL_TOPICS, COMPLAINT, datetime.now(UTC))
            save_definition(connection, "VIPs", TagRule(("VIP",)), saved_by="t", at=datetime.now(UTC))
        approve(shop, [])
        run_loop(shop, datetime(2011, 9, 1, tzinfo=UTC))
        patch.setattr(patron.run, "STEPS", STEPS[: 1 + [step.name for step in STEPS].index("measure")])
        patch.setattr(patron.run, "_write_run_row", lambda *_: None)
        second = patron.run.Run.at(datetime(2011, 11, 1, tzinfo=UTC))
        patron.run._run_steps(shop, second, {EVENTS.name: shop.lake.version(EVENTS)}, lambda *_: None)
        names = shop.lake.read(EVENTS)["name"].to_pylist()
        shop.close()
    assert "Offer Assigned" in names  # what engage returned came to collect
    return {name: frozenset(uses) for name, uses in touched.items()}


def invoice_lines():
    """Lines of 80 customers who buy some of six products nearly every month."""
    rng = np.random.default_rng(1)
    number = 0
    for month in range(1, 9):
        for customer in np.flatnonzero(rng.random(80) < 0.7):
            number += 1
            at = f"2011-{month:02}-{rng.integers(1, 28):02} 10:00:00"
            for product in rng.choice(6, 2, replace=False):
                sold = f"P{product},Thing {product},{rng.integers(1, 4)},{at},2.50"
                yield f"{500_000 + number},{sold},{10_000 + customer},France"


def record_uses(view: StageView, uses: set[str]) -> None:
    """Note every name that the view is asked for, also one that it refuses."""

    def noting(function):
        def noted(name, *rest):
            uses.add(name)
            return function(name, *rest)

        return noted

    object.__setattr__(view._tables, "_declared", noting(view._tables._declared))
    view._writable = noting(view._writable)
    view.capability = noting(view.capability)
    view.declared_store = NotingStore(view.declared_store, uses)


class NotingStore:
    """A declared store that notes the tables of each statement before it is checked."""

    def __init__(self, store, uses):
        self.store, self.uses = store, uses

    @contextmanager
    def begin(self):
        with self.store.begin() as connection:
            check = connection._check

            def noted_check(statement):
                self.uses.update(mentioned_tables(statement))
                check(statement)

            connection._check = noted_check
            yield connection


WRITTEN_BY_COMMANDS = {
    *("assignments", "campaigns", "campaign_steps", "deliveries", "messages"),
    *("customer_tags", "customer_tasks", "season_calendars", "suppressions"),
}
"""Tables of the store that no stage writes: what people plan, confirm, refuse and expect."""


def faults(declared: Mapping[str, Declaration], uses: Mapping[str, frozenset[str]]) -> list[str]:
    """What is wrong with the loop that stages declare, in words; nothing for a closed loop that runs."""
    written = {name for one in declared.values() for name in one.writes}
    found = [
        f"{stage} reads {name}, which nobody writes"
        for stage, one in declared.items()
        for name in sorted(one.reads - written - WRITTEN_BY_COMMANDS)
    ]
    for stage, names in uses.items():
        visible = declared[stage].reads | declared[stage].writes
        found += [f"{stage} uses {name} without declaring it" for name in sorted(names - visible)]
        found += [f"{stage} declares {name} and never uses it" for name in sorted(visible - names)]
    found += [
        f"nothing leads from {stage} to {other}"
        for stage in declared
        for other in sorted(declared.keys() - reachable(declared, stage))
        if stage != "measure" or other in {"decide", "engage", "collect"}
    ]
    return found


def reachable(declared: Mapping[str, Declaration], start: str) -> set[str]:
    """Stages that what one stage writes or returns leads to, itself included."""
    reached, ahead = set(), {start}
    while ahead:
        reached |= ahead
        ahead = {
            other
            for stage in ahead
            for other, one in declared.items()
            if declared[stage].writes & one.reads or (other == "collect" and declared[stage].returns)
        } - reached
    return reached


def test_the_loop_is_closed_and_stages_declare_exactly_what_they_use(used):
    assert faults(declarations(), used) == []


EDGES = loop_edges()


def test_the_loop_has_an_edge_from_each_stage():
    assert {edge.writer for edge in EDGES} == {edge.reader for edge in EDGES} == set(LOOP)


@pytest.mark.parametrize("end", ["writer", "reader"])
@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: f"{edge.writer}-{edge.name}-{edge.reader}")
def test_the_check_notices_that_an_edge_is_missing(used, edge, end):
    declared = declarations()
    writer, reader = declared[edge.writer], declared[edge.reader]
    if edge.name in writer.returns:
        declared[edge.writer] = replace(writer, returns=writer.returns - {edge.name})
    elif end == "writer":
        declared[edge.writer] = replace(writer, writes=writer.writes - {edge.name})
    else:
        declared[edge.reader] = replace(reader, reads=reader.reads - {edge.name})
    assert faults(declared, used)
