from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from patron import measure
from patron.measure.cohorts import write_cohorts
from patron.schema.table_checks import validated
from patron.schema.tables import BY_NAME, COHORT_MONTHS, COHORTS
from patron.storage.runs.last_run import last_run
from patron.storage.runs.runs import Run
from patron.storage.shop import Shop, Snapshot

RUN = Run.at(datetime(2024, 6, 1, tzinfo=UTC))


@pytest.fixture(scope="session")
def this_run():
    return RUN


@pytest.fixture(scope="session")
def last(made_shop):
    """The made shop as its last run left it."""
    return last_run(made_shop)


@pytest.fixture(scope="session")
def rows_of_last(last):
    """Rows of a table of the made shop; of a table of runs, those of the last run."""

    def rows(name):
        everything = last.read(name).to_pylist()
        return [row for row in everything if row.get("run_id", last.run.run_id) == last.run.run_id]

    return rows


@pytest.fixture(scope="module")
def snapshot_of(tmp_path_factory):
    """Write rows by hand, and see them as a run left them; all other tables are empty."""
    shop = Shop.create(tmp_path_factory.mktemp("answers") / "w")

    def snapshot(run=RUN, **tables):
        versions = dict.fromkeys(BY_NAME)
        for name, rows in tables.items():
            columns = {column for row in rows for column in row}
            arrays = {
                column.name: pa.array([row.get(column.name) for row in rows], column.type)
                for column in BY_NAME[name].columns
                if column.name in columns
            }
            versions[name] = shop.lake.replace(BY_NAME[name], validated(BY_NAME[name], pa.table(arrays)))
        return Snapshot(shop, run, versions)

    yield snapshot
    shop.close()


@pytest.fixture(scope="session")
def with_cohorts():
    """The same rows, and the cohorts that a run makes of them."""

    def written(facts):
        view = facts.shop.view(measure.READS, measure.WRITES, run=facts.run, pinned=facts.pinned)
        write_cohorts(view)
        versions = {table.name: facts.shop.lake.version(table) for table in (COHORTS, COHORT_MONTHS)}
        return replace(facts, pinned={**facts.pinned, **versions})

    return written


@pytest.fixture(scope="session")
def order_of():
    """Order, line and customer of one order: (customer, time, cents), with a refund if some cents came back."""

    def rows(*orders, refunds=(), anonymous=()):
        """`refunds` are (order's place, cents); `anonymous` are customers without a name."""
        lines, placed, known = [], [], {}
        for place, (who, at, cents) in enumerate(orders):
            base = {
                "customer_id": who,
                "is_identified": who not in anonymous,
                "order_id": f"o{place}",
                "known_at": at,
                "occurred_at": at,
                "has_coupon": False,
            }
            amounts = {"gross_cents": cents, "discount_cents": 0, "paid_cents": cents}
            counts = {"line_count": 1, "product_count": 1, "unit_count": 1}
            local = {"local_hour": 1, "local_weekday": 1, "local_day": int(at.timestamp() // 86_400)}
            placed.append(base | amounts | counts | local)
            line = {"ordered_at": at, "quantity": 1, "has_price": True, "is_refund": False}
            lines.append(base | amounts | line | {"line_id": f"l{place}"})
            for refunded, back in refunds:
                if refunded == place:
                    less = {"gross_cents": -back, "paid_cents": -back, "is_refund": True, "quantity": -1}
                    lines.append(lines[-1] | less | {"line_id": f"r{place}", "occurred_at": RUN.as_of})
            known.setdefault(who, []).append((at, cents))
        customers = [
            {
                "customer_id": who,
                "is_identified": who not in anonymous,
                "first_event_at": min(times)[0],
                "first_order_at": min(times)[0],
                "last_order_at": max(times)[0],
                "order_count": len(times),
                "paid_cents": sum(cents for _, cents in times),
                "refunded_cents": 0,
            }
            for who, times in known.items()
        ]
        return {"orders": placed, "order_lines": lines, "customers": customers}

    return rows
