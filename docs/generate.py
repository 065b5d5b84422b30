"""Write docs/reference from the code: `make docs`. A test fails when a page is out of date."""

import importlib
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_type_hints

import click
import typer
from pydantic import BaseModel

import patron
from patron.answers.data.query_functions import FUNCTIONS_BY_KIND, TABLE_FUNCTIONS
from patron.collect.files.mapping import BUILT_IN, description
from patron.interfaces.cli.app import GROUPS, app
from patron.run import loop_edges
from patron.schema import errors
from patron.schema.events import EVENTS
from patron.schema.insight.figures import FIGURES
from patron.schema.sentences import Sentence, declared
from patron.schema.table_definition import Table, sql_type
from patron.schema.tables import TABLES
from patron.storage.offers.policy import Policy
from patron.storage.settings import Settings
from patron.storage.settings_problems import WRITTEN_AS
from patron.understand.features import EVERY_FAMILY, OF_PROSPECTS

HERE = Path(__file__).parent / "reference"
PACKAGE = Path(patron.__file__).parent
NOTE = "<!-- Written by `make docs` from the code; do not edit. -->\n"
STAGES = ("collect", "understand", "predict", "decide", "engage", "measure", "simulate")


def row(cells: Iterable[object]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def grid(head: tuple[str, ...], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    return "\n".join([row(head), row("---" for _ in head), *(row(cells) for cells in rows)])


def first_line(thing: object) -> str:
    """First line of a docstring."""
    return (inspect.getdoc(thing) or "").split("\n")[0]


def writer(table: Table) -> str:
    """The one stage that writes a table."""
    return next(name for name in STAGES if table.name in importlib.import_module(f"patron.{name}").WRITES)


def tables() -> str:
    """Every table with its grain, key and columns."""
    parts = ["# Tables\n", NOTE, "Money is integer hundredths of a currency; times are UTC; shares are 0 to 1.\n"]
    for table in TABLES:
        columns = (
            (
                f"`{c.name}`",
                sql_type(c.type),
                c.meaning,
                c.unit,
                "yes" if c.nullable else "",
                "" if c.personal == "none" else c.personal,
            )
            for c in table.columns
        )
        more = "\nMore columns follow: one per [feature](features.md).\n" if table.is_open else ""
        key = ", ".join(f"`{name}`" for name in table.key)
        parts.append(
            f"## {table.name}\n\n{table.row[0].upper()}{table.row[1:]}. Key: {key}. Written by `{writer(table)}`.\n\n"
            + grid(("column", "type", "meaning", "unit", "may be NULL", "personal data"), columns)
            + f"\n{more}"
        )
    return "\n".join(parts)


def event_rows(event: type) -> Iterable[tuple[str, str, str]]:
    """Property, meaning and where it goes, of one event."""
    for name, hint in get_type_hints(event, include_extras=True).items():
        for meta in getattr(hint, "__metadata__", ()):
            where = meta.extra or {}
            goes = f"`{where['column']}`" if where.get("column") else "vault" if where.get("vault") else "`properties`"
            yield f"`{name}`", meta.description or "", goes


def events() -> str:
    """Every event of the catalogue with its properties."""
    parts = ["# Events\n", NOTE, "What goes to the vault is encrypted there; the lake holds a token.\n"]
    for event in EVENTS:
        rows = grid(("property", "meaning", "goes to"), event_rows(event))
        parts.append(f"## {event.event}\n\n{first_line(event)}\n\n{rows}\n")
    return "\n".join(parts)


def features() -> str:
    """The data dictionary of all features."""
    parts = ["# Features\n", NOTE, "Each is computed as of a cutoff from facts known before it.\n"]
    for family in EVERY_FAMILY:
        rows = ((f"`{feature.__name__}`", first_line(feature)) for feature in family.features)
        parts.append(f"## {family.name}\n\n{grid(('feature', 'meaning'), rows)}\n")
    shared = ", ".join(family.name for family in OF_PROSPECTS)
    parts.append(f"People without an order (`patron prospects`) have those of {shared}.\n")
    return "\n".join(parts)


def mappings() -> str:
    """Every built-in mapping, as its file describes it."""
    text = "Names for `patron import --mapping`. [How to write your own](../how-to/import-your-data.md).\n"
    return "\n".join(["# Mappings\n", NOTE, text, *(f"## {name}\n\n{description(name)}\n" for name in BUILT_IN)])


def error_tree() -> str:
    """Every refusal."""
    found = [e for _, e in inspect.getmembers(errors, inspect.isclass) if issubclass(e, errors.PatronError)]
    rows = (
        (f"`{e.__name__}`", f"`{e.__mro__[1].__name__}`", first_line(e))
        for e in sorted(found, key=lambda e: e.__name__)
    )
    text = (
        "## Codes\n\nA refusal has `code` and `values` next to its sentence, and `todo_code` and `todo_values` next to"
        " what to do: in the API, in `--json` and in logs. What stands in braces is a place for a value."
        " [Why](../decisions/0040-errors-carry-a-code.md).\n"
    )
    codes = ((f"`{sentence.code}`", sentence.replace("<", "&lt;")) for sentence in declared_sentences())
    return "\n".join(
        ["# Errors\n", NOTE, grid(("error", "is a", "meaning"), rows), text, grid(("code", "sentence"), codes), ""]
    )


def declared_sentences() -> list[Sentence]:
    """Every sentence, by code; the modules that declare some are imported."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "Sentence(" in path.read_text(encoding="utf-8"):
            importlib.import_module(
                ".".join(("patron", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
            )
    return sorted(declared.values(), key=lambda one: one.code)


def source_of(model: type[BaseModel]) -> str:
    """Source of a class; nothing of one that is made from a list."""
    try:
        return inspect.getsource(model)
    except OSError:
        return ""


def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """What stands under each field of a settings class."""
    bases = [one for one in model.__mro__ if issubclass(one, BaseModel) and one is not BaseModel]
    lines = "\n".join(map(source_of, bases)).split("\n")
    found: dict[str, str] = {}
    for index, line in enumerate(lines[1:], 1):
        if line.strip().startswith('"""'):
            name = lines[index - 1].strip().split(":")[0]
            found.setdefault(name, line.strip().strip('"'))
    return found


def settings_rows(model: type[BaseModel], prefix: str = "") -> Iterable[tuple[str, str, str]]:
    """Key, default and meaning of every setting, sections opened."""
    meanings = field_docs(model)
    for name, info in model.model_fields.items():
        kind = info.annotation
        inner = kind if inspect.isclass(kind) and issubclass(kind, BaseModel) else None
        if inner is None:
            inner = next(
                (a for a in getattr(kind, "__args__", ()) if inspect.isclass(a) and issubclass(a, BaseModel)), None
            )
        if inner is not None:
            yield from settings_rows(inner, f"{prefix}{name}.")
        else:
            default = "" if info.is_required() else repr(info.default)
            yield (
                f"`{prefix}{WRITTEN_AS.get(name, name)}`",
                f"`{default}`" if default else "required",
                meanings.get(name, ""),
            )


def settings() -> str:
    """patron.toml and its environment variables."""
    text = "`patron.toml` says where Patron runs; the environment overrides it: `PATRON_SHOP__CURRENCY=EUR`.\n"
    return "\n".join(["# Settings\n", NOTE, text, grid(("key", "default", "meaning"), settings_rows(Settings)), ""])


def policy() -> str:
    """policy.toml."""
    text = "`policy.toml` says what Patron promises. Its version is stored with every decision.\n"
    return "\n".join(["# Policy\n", NOTE, text, grid(("key", "default", "meaning"), settings_rows(Policy)), ""])


def commands(group: click.Command, context: click.Context, prefix: str = "") -> Iterable[tuple[str, click.Command]]:
    """Every command with its whole name; those of a group instead of the group."""
    for name in group.list_commands(context):  # pyright: ignore[reportAttributeAccessIssue] - it is a group
        command = group.get_command(context, name)  # pyright: ignore[reportAttributeAccessIssue] - it is a group
        if hasattr(command, "list_commands"):
            yield from commands(command, click.Context(command, context, info_name=name), f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def command_names(heading: str) -> set[str]:
    """First words of the commands under a heading of `patron --help`."""
    names = (one.info.name if isinstance(one, typer.Typer) else one.__name__.rstrip("_") for one in GROUPS[heading])
    return {str(name) for name in names}


def command_page(name: str, command: click.Command) -> str:
    """One command with its arguments and options."""
    options = (
        (
            "`" + " ".join(p.opts) + "`" if p.param_type_name == "option" else f"`{p.name}`",
            getattr(p, "help", "") or "",
        )
        for p in command.params
        if p.name != "help"
    )
    return f"### patron {name}\n\n{inspect.cleandoc(command.help or '')}\n\n{grid(('argument', 'meaning'), options)}\n"


def command_line() -> str:
    """`patron --help`, every command, under the headings of the help."""
    group = typer.main.get_command(app)
    listed = list(commands(group, click.Context(group, info_name="patron")))
    parts = ["# Command line\n", NOTE]
    for heading in GROUPS:
        names = command_names(heading)
        parts.append(f"## {heading}\n")
        parts += [command_page(name, command) for name, command in listed if name.split()[0] in names]
    return "\n".join(parts)


def sql_functions() -> str:
    """Functions that a query may call, by what they are about."""
    text = (
        "`patron sql`, the API and Explore run one SELECT over the [tables](tables.md). It may call these functions\n"
        "of [DuckDB](https://duckdb.org/docs/stable/sql/functions/overview), which read their arguments, the clock\n"
        "and chance only. After FROM may stand " + ", ".join(f"`{name}`" for name in sorted(TABLE_FUNCTIONS)) + ".\n"
        "[Why no others](../decisions/0045-a-query-is-what-its-engine-parsed.md).\n"
    )
    rows = ((kind, " ".join(f"`{name}`" for name in names.split())) for kind, names in FUNCTIONS_BY_KIND.items())
    return f"# SQL functions\n\n{NOTE}\n{text}\n{grid(('about', 'functions'), rows)}\n"


def figures() -> str:
    """Every figure that several pages show."""
    head = ("figure", "unit", "what", "of whom", "of which time", "refunds", "tables")
    rows = (
        (f"`{one.code}`", one.unit, one.meaning, one.population, one.period, one.refunds, one.source) for one in FIGURES
    )
    text = (
        "Each number that more than one page, answer or command shows. It is the same wherever it stands: pages mark it"
        " as `<data data-figure>` with its exact value, and `tests/interfaces/test_figures_agree.py` compares. Money is"
        " in cents there and in answers.\n"
    )
    return "\n".join(["# Figures\n", NOTE, text, grid(head, rows), ""])


def picture() -> str:
    """The loop, drawn from what the stages declare."""
    names: dict[tuple[str, str], list[str]] = {}
    for edge in loop_edges():
        names.setdefault((edge.writer, edge.reader), []).append(edge.name)
    lines = [
        f"  {writer} -->|{', '.join(shared[:2])}{' ...' if len(shared) > 2 else ''}| {reader}"
        for (writer, reader), shared in names.items()
    ]
    return "```mermaid\nflowchart LR\n  shop([shop, SDKs, files]) --> collect\n" + "\n".join(lines) + "\n```"


def loop() -> str:
    """The loop and its stages."""
    rows = (
        (
            f"`{name}`",
            first_line(module),
            *(", ".join(names) for names in (module.READS, module.WRITES, module.RETURNS)),
        )
        for name in STAGES
        for module in [importlib.import_module(f"patron.{name}")]
    )
    return "\n".join(
        ["# The loop\n", NOTE, picture(), "", grid(("stage", "what it does", "reads", "writes", "returns"), rows), ""]
    )


PAGES: dict[str, Callable[[], str]] = {
    "tables": tables,
    "events": events,
    "features": features,
    "mappings": mappings,
    "errors": error_tree,
    "settings": settings,
    "policy": policy,
    "command-line": command_line,
    "loop": loop,
    "figures": figures,
    "sql-functions": sql_functions,
}


def main() -> None:
    """Write every page."""
    HERE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (HERE / f"{name}.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
