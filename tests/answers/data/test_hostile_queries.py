"""No query reads what it is not shown: other files of the lake, hidden columns, settings, paths."""

import shutil

import numpy as np
import pyarrow as pa
import pytest
from tests.support.hostile.hostile_queries import CANARY, HIDDEN_COLUMNS, HostileQueries, outcome, plant

from patron.answers.data import sql_query
from patron.answers.data.query_functions import FUNCTIONS, TABLE_FUNCTIONS
from patron.answers.data.query_worker import HIDDEN
from patron.answers.data.sql_query import open_query, sql
from patron.schema.errors import BadQuery
from patron.schema.tables import BY_NAME
from patron.storage.shop import Shop
from sample_rows import sample

STATEMENTS = 100
"""How many are drawn here; `benchmarks/interfaces/hostile_queries.py` draws 20,000."""


@pytest.fixture(scope="module")
def planted(new_home, tmp_path_factory):
    """A shop whose hidden columns and stray files hold canaries, and paths that lead there."""
    home = tmp_path_factory.mktemp("planted")
    shutil.copytree(new_home, home, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        shop = Shop.open(home / "w")
        paths = plant(shop)
        yield shop, paths
        shop.close()


CTE_ELSEWHERE = [
    'select * from "{path}" where exists (with "{path}" as (select 1) select 1)',
    'select (with "{path}" as (select 1) select 1), * from "{path}"',
    'with a as (with "{path}" as (select 1) select * from "{path}") select * from "{path}"',
    'with a as (select * from "{path}"), "{path}" as (select 1) select * from a',
    'with "{path}" as (select * from "{path}") select * from "{path}"',
    'with recursive "{path}" as (select * from "{path}" union all select 1) select * from "{path}"',
    'with recursive "{path}" as (select * from "{path}" union all select * from "{path}") select 1 from "{path}"',
    '(with "{path}" as (select 1) select 1) union all select customer_id from "{path}"',
    'select * from events, lateral (with "{path}" as (select 1) select 1) x, "{path}" y',
    'with "{path}" as (select 1) select * from (describe "{path}")',
    'with "{path}" as (select 1) from (summarize "{path}")',
    'with "{path}" as (select 1) select * from main."{path}"',
    'with "{path}" as (select 1) select * from recurring."{path}"',
    "with \"{path}\" as (select 1) select * from query_table('{path}')",
    'with "{path}" as (select 1) select 1; from "{path}"',
    '/* /* */ with "{path}" as (select 1) */ select * from "{path}"',
    'from "{path}" -- with "{path}" as (select 1)',
    'with "{path} " as (select 1) from "{path}"',
    "select * from '{path}'",
    "from E'{path}'",
    "from $${path}$$",
    'table "{path}"',
    'from x: "{path}"',
    'select * from events positional join "{path}"',
    'from (pivot "{path}" on customer_id in (1))',
    'from "{path}" pivot (count(*) for customer_id in (1))',
    'from (unpivot "{path}" on columns(*))',
    'values ((from "{path}" limit 1))',
    'from events at (version => (select count(*) from "{path}"))',
    'from events qualify exists (from "{path}")',
    'from events order by (select 1 from "{path}") limit (select 1 from "{path}")',
    'select sum(1) over (order by (select 1 from "{path}")) from events',
    'select list_transform([1], lambda x: (from "{path}")) from events',
    'from range((select count(*) from "{path}"))',
    'with x as (insert into events from "{path}" returning *) from x',
    'select count(*) filter (exists (from "{path}")) from events',
    'with recursive a using key (b) as (select 1 as b union from "{path}") from a',
]
FUNCTIONS_THAT_READ = [
    "from read_text('{path}')",
    "from read_parquet(['{path}'])",
    "from \"read_parquet\"('{path}')",
    "from READ_BLOB('{path}')",
    "from main.read_csv('{path}')",
    "from system.main.read_json('{path}')",
    "from events, read_text('{path}')",
    "from events, lateral (from read_text('{path}'))",
    "from glob('{path}')",
    "from query('from ''{path}''')",
    "from query_table(['{path}'])",
    "from json_execute_serialized_sql(json_serialize_sql('from ''{path}'''))",
    "select json_serialize_plan('from ''{path}''')",
    "from parquet_metadata('{path}')",
    "from parquet_kv_metadata('{path}')",
    "from sniff_csv('{path}')",
    "from duckdb_views()",
    "from duckdb_settings()",
    "from duckdb_columns()",
    "from duckdb_secrets()",
    "from duckdb_logs()",
    "from duckdb_external_file_cache()",
    "from pragma_table_info('events')",
    "from pragma_storage_info('events')",
    "from information_schema.columns",
    'from "information_schema.columns"',
    "from sqlite_master",
    "from pg_catalog.pg_views",
    "from duckdb_tables",
    "from memory.main.events",
    "from main.events",
    "from temp.events",
    "from which_secret('{path}', 's3')",
    "from histogram_values('{path}', customer_id)",
    "from summary((from events))",
    "from (show all tables)",
    "from (show events)",
    "from (show databases)",
    "show all tables",
    "select current_setting('allowed_paths')",
    "select current_setting('temp_directory') from events",
    "select \"current_setting\"('allowed_directories')",
    "select main.current_setting('home_directory')",
    "select 'temp_directory'.current_setting()",
    "select cast('temp_directory' as varchar).current_setting()",
    "select current_setting(x) from (select 'temp_directory' as x)",
    "select list_transform(['temp_directory'], lambda x: current_setting(x))",
    "select current_setting /* x */ ('temp_directory')",
    "select getenv('HOME')",
    "select 'HOME'.getenv()",
    "select getvariable('x')",
    "select pg_get_viewdef('events')",
    "select current_query()",
    "select col_description(1, 1)",
    "select current_schemas(true)",
    "select write_log('x')",
    "select stats(event_id) from events",
    "select nextval('{path}')",
    "select error('{path}')",
    "select max(columns(lambda c: current_setting('temp_directory') is null)) from events",
    "select sum(1) over (order by current_setting('temp_directory')) from events",
    "select count(*) filter (getenv('HOME') is null) from events",
    "select x.no_such_function(1) from events",
    "from range(getvariable('x'))",
    "call read_text('{path}')",
    "copy events to '{path}x'",
    "export database '{path}x'",
    "attach '{path}' as x",
    "load '{path}'",
    "prepare x as from '{path}'",
    "explain analyze from '{path}'",
    "set variable x = (select content from read_text('{path}'))",
    "select $x",
    "select ?",
    "from shop",
    "from planted",
    "\ud800",
]
HIDDEN_IN_EVENTS = [
    "select {column} from events",
    'select "{column}" from events e',
    "select events.{column} from events",
    "select e.{column} from events e",
    "select main.events.{column} from events",
    "select events['{column}'] from events",
    "select (events).{column} from events",
    "select struct_extract(events, '{column}') from events",
    "select * exclude ({column}) from events",
    "select * replace (1 as {column}) from events",
    "select event_id from events where {column} is not null",
    "select event_id from events order by {column}",
    "select count(*) from events group by {column}",
    "select event_id from events a join events b using ({column})",
    "select sum(1) over (partition by {column}) from events",
    "from events pivot (count(*) for {column} in ('a'))",
    "from events unpivot (v for k in ({column}))",
    "select unnest(events).{column} from events",
    "select (select {column}) from events",
    "from events, lateral (select {column})",
    "select columns(['{column}']) from events",
    "select columns('^{column}$') from events",
    "select any_value(columns('^{column}$')) from events",
    "select filename from events",
    "select rowid, file_row_number from events",
    "from (select event_id from events) union by name (select {column} from events)",
]
EVERYTHING_OF_EVENTS = [
    "from events",
    "table events",
    "select columns(*) from events",
    "select events from events",
    "select to_json(events) from events",
    "select e::varchar from events e",
    "select list(events) from events",
    "select * from (summarize events)",
    "select * from (describe events)",
    "summarize events",
    "select struct_pack(*columns(*)) from events",
    "from events natural join events b",
    "with events as (from events) from events",
    "select unnest(events) from events",
    "select hash(events), events::varchar from events",
    "from events tablesample 100 percent",
    "from (from events) unpivot (v for k in (columns('.*token')))",
    "select * rename (email_token as shown) from events",
    "from EVENTS",
    'from "Events"',
    "select (from events select events limit 1)",
    "select coalesce(*columns(*)::varchar) from events",
    "select * like '%token%' from events",
]
CTES_CALLED_LIKE_FILES = [
    "from {file} pivot (count(*) for x in (1))",
    "from {file} unpivot (v for k in (x))",
    "from events e, lateral (from {file})",
    "from events, range((select max(x) from {file}))",
    "values ((select max(x) from {file}))",
    "from events order by (select max(x) from {file})",
    "from events limit (select max(x) from {file})",
    "from events positional join {file}",
    "select distinct on ((select max(x) from {file})) event_id from events",
    "select sum(1) over (order by (select max(x) from {file})) from events",
    "select count(*) filter ((select max(x) from {file}) = 1) from events",
    "from (with b as (from {file}) from b)",
    "from events union all by name from {file}",
    "select nullif((select max(x) from {file}), 1), array(from {file}), [(from {file})]",
    "select 1 in (from {file}), 1 = any (from {file}), exists (from {file})",
    "from {file} asof join {file} b on {file}.x >= b.x",
    "from {file} semi join events on true",
    "from unnest((select [max(x)] from {file}))",
    "with recursive a(x) as (select 1 union all (with b as (from a) select x + 1 from b where x < 3)) from a, {file}",
]


@pytest.mark.parametrize("texts", [CTE_ELSEWHERE, FUNCTIONS_THAT_READ], ids=["names", "functions"])
def test_no_file_or_setting_is_read_however_it_is_named(planted, texts):
    shop, paths = planted
    for number, text in enumerate(texts):
        statement = text.replace("{path}", paths[number % len(paths)])
        assert outcome(shop, statement) == "refused", statement


def test_a_hidden_column_cannot_be_named_and_all_columns_are_those_that_are_shown(planted):
    shop, _ = planted
    for text in HIDDEN_IN_EVENTS:
        assert outcome(shop, text.replace("{column}", "email_token")) == "refused", text
    assert {outcome(shop, text) for text in EVERYTHING_OF_EVENTS} <= {"rows", "refused"}
    with open_query(shop, "from events", hidden=HIDDEN) as result:
        assert result.schema.names
        assert not HIDDEN_COLUMNS & set(result.schema.names)
    assert CANARY in str(sql(shop, "select email_token from events").to_pylist())


def test_a_name_means_the_cte_of_its_scope_and_else_the_declared_table(planted):
    shop, _ = planted
    for text, count in {
        'with "a/b" as (select 1) select count(*) from "a/b"': 1,
        'with "A/B" as (select 1) select count(*) from "a/b"': 1,
        "with events as (select 1) select count(*) from events": 1,
        "with events as (from events) select count(*) from events": 3,
        "select count(*) from events where exists (with events as (select 1) from events)": 3,
        "with a as (select 1), b as (from a) select (select count(*) from (from a, b))": 1,
        "with recursive a(i) as (select 1 union all (with b as (from a) select i + 1 from b where i < 4)) "
        "select count(*) from a": 4,
        "with a as (select 1) select count(*) from (with b as (from a) from a, b, lateral (from b) c)": 1,
        "with a as (select 1) (from a) union all (from a) order by 1 limit 1": 1,
        "select count(*) from Events e, lateral (select e.event_id) x": 3,
    }.items():
        assert list(sql(shop, text).to_pylist()[0].values()) == [count], text


def test_a_cte_called_like_a_file_is_the_cte_wherever_it_can_be_named(planted, monkeypatch):
    shop, paths = planted
    monkeypatch.setattr(sql_query, "_bind_without_files", lambda *_: None)
    [file, *_] = [f'"{path}"' for path in paths if "/events/" in path]
    for text in CTES_CALLED_LIKE_FILES:
        separator = "," if text.startswith("with") else " "
        query = f"with recursive {file} as (select 1 as x){separator}{text.removeprefix('with recursive')}"
        assert outcome(shop, query.replace("{file}", file)) == "rows", text


def test_a_function_that_is_not_listed_says_which_one_is(planted):
    shop, _ = planted
    with pytest.raises(BadQuery, match=r"no function uper here\. Did you mean upper\? The reference"):
        sql(shop, "select uper('a')")
    with pytest.raises(BadQuery, match="there is no function read_text here"):
        sql(shop, "from read_text('x')")


def test_every_listed_function_exists(planted):
    shop, _ = planted
    with shop.engine.connect() as con:
        known = {name.lower() for (name,) in con.execute("select function_name from duckdb_functions()").fetchall()}
    made_by_the_parser = {"coalesce", "ifnull", "percentile_cont", "percentile_disc", "xor"}
    windows = "cume_dist dense_rank fill first_value lag last_value lead nth_value ntile percent_rank rank rank_dense"
    others = {"current_time", "localtime", "localtimestamp", "current_timestamp", "row_number"}
    assert FUNCTIONS - known <= made_by_the_parser | set(windows.split()) | others
    assert known >= TABLE_FUNCTIONS


def test_where_the_check_is_passed_by_the_engine_itself_still_opens_nothing_else(planted, monkeypatch):
    shop, paths = planted
    monkeypatch.setattr(sql_query, "declared_tables", lambda *_: ["events"])
    functions = ("from read_parquet('{path}')", "from read_text('{path}')", "from glob('{path}')")
    for number, path in enumerate(paths):
        for text in ("from '{path}'", functions[number % 3]):
            assert outcome(shop, text.replace("{path}", path)) == "refused", (text, path)


def test_statements_drawn_from_a_grammar_show_nothing_that_is_hidden(planted):
    shop, paths = planted
    queries = HostileQueries(np.random.default_rng(38), paths)
    outcomes = [outcome(shop, queries.statement()) for _ in range(STATEMENTS)]
    assert min(outcomes.count("rows"), outcomes.count("refused")) > STATEMENTS / 10


def test_a_message_of_the_engine_has_no_path_that_the_query_does_not_have(planted):
    shop, _ = planted
    error = RuntimeError(f'Error in file "{shop.lake.folder}/my events/part-1.parquet": /a/b of /usr/lib/x.so')
    assert sql_query._words_of(error, "select '/a/b'") == 'Error in file "...": /a/b of ...'


def test_what_customers_declared_is_hidden_among_their_features_too(shop):
    rows = sample(BY_NAME["features"], 3, np.random.default_rng(1))
    declared = rows.append_column("declared_income", pa.array(["50K"] * 3)).append_column("orders", pa.array([1] * 3))
    shop.lake.append(BY_NAME["features"], declared)
    with open_query(shop, "select * from features") as result:
        assert result.schema.names[-2:] == ["declared_income", "orders"]
    with open_query(shop, "select * from features", hidden=HIDDEN) as result:
        assert result.schema.names == [*rows.column_names, "orders"]
    with pytest.raises(BadQuery), open_query(shop, "select declared_income from features", hidden=HIDDEN):
        pass
