"""SQL that looks for what nobody may see, drawn from a grammar, and a shop in which it would find it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.support.sample_rows import sample

from patron.answers.data.query_worker import HIDDEN
from patron.answers.data.sql_query import open_query
from patron.schema.errors import BadQuery
from patron.schema.tables import BY_NAME
from patron.storage.shop import Shop

TABLES = ("events", "identities", "traits", "token_pairs", "identity_changes", "order_lines")
CANARY = "canary-of-a-secret"
"""How every value begins that no result and no message may hold."""
HIDDEN_COLUMNS = frozenset(c.name for table in BY_NAME.values() for c in table.columns if c.personal in HIDDEN)
PATH = re.compile(r"(?<![\w./])/[\w.*/-]+")
T = TypeVar("T")
STATEMENTS = """\
QUERY; QUERY
explain QUERY
/* /* */ QUERY -- */
QUERY -- PATH
copy (QUERY) to 'PATHx'
create table x as QUERY
pivot NAME on event_id
table NAME
call CALL
summarize NAME
prepare x as QUERY
set variable x = (QUERY)
pragma table_info(NAME)""".splitlines()
"""Statements that are no SELECT, or several."""
NAMES = (
    *('"select"', '"É"', "kelvin", '"a""b"', "m", "n", '"information_schema.tables"', "sqlite_master", "shop"),
    *("duckdb_views", "rows", '"memory.main.events"', '"evénts"', '"events "', "EVENTS", "identities", '"glob"'),
)
"""Names of CTEs."""
TABLE_CALLS = """\
read_parquet('PATH')
read_csv('PATH')
read_text('PATH')
read_blob(['PATH'])
glob('PATH')
"read_json"('PATH')
main.read_csv_auto('PATH')
parquet_scan('PATH')
system.main.read_text('PATH')
read_text(path := 'PATH')
parquet_metadata('PATH')
query('from ''PATH''')
query_table('PATH')
query_table(['PATH'])
sniff_csv('PATH')
duckdb_settings()
duckdb_views()
duckdb_secrets()
duckdb_columns()
pragma_version()
json_execute_serialized_sql(json_serialize_sql('from ''PATH'''))
pragma_table_info('NAME')
read_ndjson_objects('PATH')
arrow_scan('PATH')
seq_scan('NAME')
summary(NAME)
which_secret('a', 's3')
histogram_values('PATH', x)""".splitlines()
"""Functions after FROM that read something."""
USUAL_CALLS = """\
upper(cast(INNER as varchar))
coalesce(INNER, null)
try_cast(INNER as int)
(INNER)::varchar.upper()
list_value(INNER)
{'k': INNER}.k
[INNER][1]
cast(INNER as timestamp)
(INNER)::int
struct_pack(a := INNER)
row_number() over ()
list_transform([INNER], lambda x: x)
map {'k': INNER}['k']
json_object('k', INNER)
hash(INNER)
(INNER)::varchar::uuid
strptime((INNER)::varchar, '%Y')""".splitlines()
CALLS = """\
current_setting('allowed_paths')
getenv('HOME')
getvariable('x')
current_query()
version()
read_text('PATH')
'PATH'.read_text()
"getenv"('HOME')
'HOME'.getenv()
user
pg_get_viewdef('events')
json_serialize_plan('from ''PATH''')
error(INNER)
stats(INNER)
main.current_setting('temp_directory')
system.main.getenv('HOME')
nextval('PATH')
$x
?
current_setting(E'\\x61llowed_paths')
current_setting($$allowed_paths$$)
cur/**/rent_setting('x')
write_log('PATH')
txid_current()
current_schemas(true)
col_description(1, 1)""".splitlines()
"""Expressions that read something else than their arguments."""
OUT_OF_SCOPE = """\
select * from FILE where exists DEFINED
select DEFINED as y, * from FILE
DEFINED union all by name from FILE
from DEFINED m, FILE n
with a as (from FILE), b as DEFINED from a
with FILE as (from FILE) from FILE
from events, lateral DEFINED b, FILE c
select array DEFINED[1], (select max(columns(*)) from FILE)
from events where exists DEFINED union all by name (from FILE)
with a as (with FILE as (select 1 as x) from FILE) from a, FILE""".splitlines()
"""Statements in which FILE is a CTE in one place and a file in another."""


def plant(shop: Shop) -> list[str]:
    """Fill tables whose hidden columns hold canaries, put files with canaries into the lake; what leads to them."""
    rng = np.random.default_rng(0)
    for name in TABLES:
        rows = sample(BY_NAME[name], 3, rng)
        for column in rows.column_names:
            if column in HIDDEN_COLUMNS:
                values = pa.array([f"{CANARY}-{name}-{column}-{n}" for n in range(rows.num_rows)])
                rows = rows.set_column(rows.column_names.index(column), column, values)
        shop.lake.append(BY_NAME[name], rows)
    lake = Path(shop.lake.folder)
    pq.write_table(pa.table({"customer_id": [CANARY]}), lake / "stray.parquet")
    (lake / "stray.csv").write_text(f"customer_id\n{CANARY}\n", "utf-8")
    (lake / "stray.json").write_text(f'{{"customer_id": "{CANARY}"}}\n', "utf-8")
    (lake / "events" / "_delta_log" / "stray.json").write_text(f'{{"add": "{CANARY}"}}\n', "utf-8")
    stored = [str(path) for name in TABLES for path in sorted((lake / name).rglob("*.parquet"))[:1]]
    strays = [f"{lake}/stray.{kind}" for kind in ("parquet", "csv", "json")]
    patterns = [
        f"{lake}/*.parquet",
        f"{lake}/**/*.json",
        f"{lake}/events/_delta_log/*.json",
        f"file://{lake}/stray.csv",
    ]
    return [*stored, *strays, *patterns, f"{lake}/events/_delta_log/stray.json", f"{lake}/events/../stray.csv"]


def outcome(shop: Shop, text: str) -> str:
    """Run a query as the console does: "rows" or "refused". Raises AssertionError when it shows what is hidden."""
    try:
        with open_query(shop, text, seconds=5, hidden=HIDDEN) as result:
            rows = pa.Table.from_batches(result.batches, result.schema)
    except BadQuery as refusal:
        said = str(refusal)
        assert CANARY not in said, (text, said)
        own = [path for path in PATH.findall(said) if path.rstrip("./") not in text]
        assert not own, (text, said)
        return "refused"
    shown = f"{rows.column_names} {rows.to_pylist()}"
    assert CANARY not in shown, (text, shown)
    unasked = [name for name in HIDDEN_COLUMNS - {"value", "token"} if name in shown and name not in text.lower()]
    assert not unasked, (text, shown)
    return "rows"


@dataclass
class HostileQueries:
    """Statements drawn from a grammar: some read what they may, most try to read something else on the way."""

    rng: np.random.Generator
    paths: list[str]
    hostility: float = 0.0
    """How often the statement at hand takes a hostile part where it could take another."""
    has_scopes: bool = True
    """Whether the statement at hand names a CTE only where it can; otherwise its CTEs are called as files are."""
    ctes: list[str] = field(default_factory=list)
    """CTEs that the statement at hand may name here."""

    def statement(self) -> str:
        """One statement."""
        self.hostility = self._one([0.0, 0.02, 0.1, 0.4])
        self.has_scopes, self.ctes = self._is(0.6), []
        query = self._query(int(self.rng.integers(1, 4)))
        if self._is(0.15):
            file = f'"{self._one(self.paths)}"'
            body = self._one(["select 1 as x", f"from {file}", f"select count(*) as x from {file}"])
            defined = f"(with {file} as (select 1 as x) {body})"
            return self._one(OUT_OF_SCOPE).replace("DEFINED", defined).replace("FILE", file)
        usual = [query] * 12 + [f"{query};", f"-- x\n{query}", f"/* x */ {query} --", f"({query})", f"describe {query}"]
        call = self._table_function()
        hostile = [text.replace("QUERY", query).replace("CALL", call) for text in STATEMENTS]
        return self._filled(self._either(usual, [*hostile, query[:-3]]))

    def _filled(self, text: str) -> str:
        return text.replace("PATH", self._path()).replace("NAME", self._name() if "NAME" in text else "")

    def _one(self, choices: Sequence[T]) -> T:
        return choices[self.rng.integers(len(choices))]

    def _either(self, usual: list[str], hostile: list[str]) -> str:
        return self._one(hostile if self.rng.random() < self.hostility else usual)

    def _draw(self, *makers: Callable[[], str]) -> str:
        return self._one(makers)()

    def _is(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def _path(self) -> str:
        return self._one([*self.paths, "/etc/passwd", "/proc/self/environ", "lake/stray.csv"])

    def _hidden(self) -> str:
        return self._one([*sorted(HIDDEN_COLUMNS), "filename", "rowid", "file_row_number", "current_setting"])

    def _column(self) -> str:
        return self._either(["x", "customer_id", "occurred_at", "run_id"], [self._hidden(), f'"{self._hidden()}"'])

    def _odd_name(self) -> str:
        """A name that no table has, for a CTE or for what is read."""
        file = f'"{self._path()}"'
        return self._one([*[file] * 8, f'"{self._hidden()}"', '"\u212aelvin"', *NAMES])

    def _name(self) -> str:
        usual = [*TABLES, *self.ctes * 4]
        name = self._either(
            usual, [self._odd_name(), "recurring.m", "pg_catalog.pg_class", "information_schema.tables"]
        )
        return self._either([name], [f"main.{name}", f"memory.main.{name}", f"'{self._path()}'", f'"{name}"'])

    def _table_function(self) -> str:
        usual = ["range(3)", "generate_series(1, 3)", "unnest([1, 2])", "json_each('{\"a\": 1}')", "range(3) r(x)"]
        return self._filled(self._either(usual, TABLE_CALLS))

    def _call(self, depth: int) -> str:
        return self._filled(self._either(USUAL_CALLS, CALLS)).replace("INNER", self._expression(depth - 1))

    def _expression(self, depth: int) -> str:
        leaf = self._either(["1", "'a'", "null", "true", "current_user"], ["m.x", "#1", f"'{self._path()}'", "shop"])
        leaves = (lambda: leaf, self._column, lambda: self._either([leaf], [f"{self._one(TABLES)}.{self._hidden()}"]))
        if depth <= 0:
            return self._draw(*leaves)
        return self._draw(
            *leaves,
            lambda: self._call(depth),
            lambda: self._call(depth),
            lambda: f"(select count(*) from ({self._query(depth - 1)}))",
            lambda: f"exists ({self._query(depth - 1)})",
            lambda: f"array({self._query(depth - 1)})[1]",
            lambda: f"{self._expression(depth - 1)} in ({self._query(depth - 1)})",
            lambda: f"({self._expression(depth - 1)} || {self._expression(depth - 1)})",
            lambda: f"case when ({self._expression(depth - 1)}) is null then {self._expression(depth - 1)} end",
            lambda: self._either([leaf], [*TABLES]),
        )

    def _columns(self, depth: int) -> str:
        return self._draw(
            lambda: "*",
            lambda: "*, 1 as x",
            lambda: "count(*) as n",
            lambda: self._either(
                ["*"], [f"{self._one(TABLES)}.*", "columns(lambda c: c like '%token')", "*, filename"]
            ),
            lambda: self._either(["columns(*)"], [f"columns('.*{self._hidden()}.*')", f"* exclude ({self._hidden()})"]),
            lambda: self._either(["columns('.*')"], [f"* rename ({self._hidden()} as shown)", "* like '%token'"]),
            lambda: f"{self._expression(depth)} as x",
            lambda: f"{self._expression(depth)} as x, {self._expression(depth)}",
        )

    def _relation(self, depth: int) -> str:
        makers = [self._name] * 6 + [self._table_function]
        if depth > 0:
            makers += [lambda: f"({self._query(depth - 1)}) {self._one(['m', 'n', 'events'])}"] * 2
            makers += [lambda: f"{self._name()} {self._one(['a', 'events', 'm'])}"]
            makers += [lambda: f"{self._name()}, lateral ({self._query(depth - 1)}) b"]
            makers += [
                lambda: f"{self._name()} a {self._one(['positional', 'cross', 'natural'])} join {self._name()} b"
            ]
            makers += [lambda: f"(summarize {self._name()})", lambda: f"(describe {self._name()})"]
            makers += [lambda: f"(values ({self._expression(0)})) m(x)"]
            makers += [lambda: f"{self._name()} tablesample 50 percent"]
            makers += [lambda: f"{self._name()} pivot (count(*) for {self._column()} in ('a'))"]
            makers += [lambda: f"(select * from {self._name()} unpivot (v for k in ({self._column()})))"]
            others = ["(show tables)", "(show all tables)", f"(show {self._one(TABLES)})", "events at (version => 1)"]
            makers += [lambda: self._either(["range(2) r(x)"], others)]
        return self._draw(*makers)

    def _query(self, depth: int) -> str:
        before = list(self.ctes)
        ctes = self._with(depth) if depth > 0 and self._is(0.4) else ""
        relation, columns = self._relation(depth), self._columns(depth)
        body = f"from {relation} select {columns}" if self._is(0.1) else f"select {columns} from {relation}"
        body += f" where ({self._expression(depth - 1)}) is not null" if self._is(0.2) else ""
        body += f" order by {self._either(['all', '1'], [self._hidden()])}" if self._is(0.1) else ""
        if depth > 0 and self._is(0.15):
            body = (
                f"({body}) {self._one(['union all', 'union by name', 'except', 'intersect'])} {self._query(depth - 1)}"
            )
        if self.has_scopes:
            self.ctes = before
        return ctes + body

    def _with(self, depth: int) -> str:
        parts = []
        for _ in range(1 + self.rng.integers(2)):
            name = self._odd_name() if self.has_scopes else f'"{self._one(self.paths)}"'
            if not self.has_scopes:
                self.ctes.append(name)
            body = self._one([self._query(depth - 1), *["select 1 as x"] * 2, f"select * from {self._name()}"])
            parts.append(f"{name} as {self._one(['', 'materialized ', 'not materialized '])}({body})")
            self.ctes.append(name)
        return f"{self._one(['with', 'WITH', 'with recursive', 'with/**/'])} {', '.join(parts)} "
