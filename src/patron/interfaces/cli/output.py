"""What a command prints: tables for people, JSON for programs, progress on stderr."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import indent
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from patron.schema.errors import PatronError

if TYPE_CHECKING:
    import pyarrow as pa

NOT_A_TERMINAL = 160
"""Columns when what is printed goes to a file or pipe."""
MAX_COUNTED = 1_000_000
"""Rows of a result that are counted where only the first are printed."""
CELL_BORDER = 3
"""Columns that a table needs for a cell besides its text."""


class Terminal(Console):
    """A console for which it is the command's business that nobody reads on."""

    def on_broken_pipe(self) -> None:
        """Leave the error to `main`, which ends with 0."""
        raise BrokenPipeError


OUT = Terminal(soft_wrap=True, width=None if sys.stdout.isatty() else NOT_A_TERMINAL)
ERR = Terminal(stderr=True, soft_wrap=True)


def say(text: str = "", *, mark: str = "", style: str = "") -> None:
    """Print a line for a person as it is; only its mark, or else the whole line, has the style."""
    OUT.print(Text.assemble((mark, style), " ", text) if mark else Text(text, style))


def say_error(text: str) -> None:
    """Print a refusal."""
    ERR.print(f"[bold red]patron:[/] {escape(text)}", highlight=False)


def end_refused(refusal: PatronError) -> None:
    """Print a refusal and end the process at once, whatever its other threads do."""
    say_error(str(refusal))
    os._exit(1)


def as_json(value: object) -> None:
    """Print only JSON, dataclasses as objects."""
    print(_json_text(value))  # noqa: T201 - stdout is the interface here


def answer(value: object, text: str, *, json: bool) -> None:
    """Print what a command found: JSON for programs, or a line for a person."""
    if json:
        as_json(value)
    else:
        say(text)


def as_json_rows(rows: Iterable[dict[str, Any]]) -> None:
    """Print a list of rows as `as_json` does, without holding them in memory."""
    before = "[\n"
    for row in rows:
        print(before + indent(_json_text(row), "  "), end="")  # noqa: T201 - stdout is the interface here
        before = ",\n"
    print("[]" if before.startswith("[") else "\n]")  # noqa: T201 - stdout is the interface here


def _json_text(value: object) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()


def grid(title: str, head: Sequence[str], rows: Sequence[Sequence[object]], *, numbers: int = 0) -> None:
    """Print a table; its last `numbers` columns are right-aligned."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", pad_edge=False)
    for index, name in enumerate(head):
        table.add_column(name, justify="right" if index >= len(head) - numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    OUT.print(table)


def arrow(names: Sequence[str], batches: "Iterable[pa.RecordBatch]", *, most: int = 50) -> None:
    """Print the first rows of a result: as a table, or a column a line where a table would be too wide."""
    listed: list[list[str]] = []
    count = 0
    for batch in batches:
        count += batch.num_rows
        columns = [column.to_pylist() for column in batch.slice(0, most - len(listed)).columns]
        listed += [["" if value is None else str(value) for value in row] for row in zip(*columns, strict=True)]
        if count > MAX_COUNTED:
            break
    widths = (max(map(len, cells)) + CELL_BORDER for cells in zip(names, *listed, strict=True))
    if sum(widths) <= OUT.width:
        grid("", names, listed)
    else:
        longest = max(map(len, names))
        for number, row in enumerate(listed, 1):
            say(f"row {number}", style="bold")
            for name, value in zip(names, row, strict=True):
                say(f"  {name:{longest}}  {value}")
    if count > most:
        more = f"more than {MAX_COUNTED:,}" if count > MAX_COUNTED else f"{count - most:,}"
        say(f"... {more} more rows; --json prints all of them")


@contextmanager
def progress(what: str) -> Iterator[Callable[[str, int, int | None], None]]:
    """Show what is being done on stderr, if that is a terminal: a step, how much of it is done, and of how much."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def show(step: str, done: int = 0, total: int | None = None) -> None:
            bar.update(task, description=escape(step), completed=done, total=total)

        yield show
