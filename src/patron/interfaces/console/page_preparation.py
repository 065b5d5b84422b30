"""What the first readers of a run would wait for, computed before they ask: at the start, and after each run."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from patron.answers.customers.customer_index import index_at_last_run
from patron.answers.customers.watch_list import watch_list_history
from patron.answers.insight.retention import show_retention
from patron.answers.insight.today import run_items_of
from patron.answers.models.models import show_models
from patron.commands.customers.customer_contacts import prepare_contacts
from patron.interfaces.charts.chart import Chart
from patron.interfaces.console.insight.overview_pages import opening_charts
from patron.interfaces.console.page_frame import Console
from patron.interfaces.console.templating import compile_templates
from patron.interfaces.i18n.translations import choose_locale, words
from patron.schema.errors import PatronError
from patron.storage.runs.answer_cache import AnswerCache
from patron.storage.runs.last_run import last_run

LOG = logging.getLogger(__name__)
CHECK_SECONDS = 1.0
"""How often to look whether another run has completed."""


def prepare_each_run(
    answers: AnswerCache,
    steps: Callable[[], Iterator[Callable[[], object]]],
    stopping: threading.Event,
    prepared: threading.Event,
) -> None:
    """Take these steps once a run has completed, until told to stop; `prepared` is set once nothing is left to do.

    Steps that failed are taken again when another run has completed, or an erasure rewrote tables.
    """
    version: object = None
    while not stopping.is_set():
        newest = _version(answers)
        if newest is not None and newest != version:
            prepare(steps(), stopping.is_set)
        version = newest
        prepared.set()
        stopping.wait(CHECK_SECONDS)


def prepare(steps: Iterator[Callable[[], object]], is_stopping: Callable[[], bool]) -> None:
    """Take these steps, one after another, also after one that failed; ends when it stops."""
    while not is_stopping():
        try:
            step = next(steps, None)
            if step is None:
                return
            step()
        except PatronError as error:  # why: the reader sees the reason in the page's language
            LOG.info("not prepared: %s", error.log_line)
        except Exception:  # such as a database that restarts
            LOG.warning("not prepared", exc_info=True)


def _version(answers: AnswerCache) -> object:
    """Which run readers see; None before any."""
    try:
        return answers.last_version()
    except PatronError:
        return None


def _drawings(*values: object) -> Iterator[Callable[[], str]]:
    """What draws all charts among these, wide and narrow: a drawing is kept."""
    for value in values:
        if isinstance(value, Chart):
            yield from (value.svg, value.narrow_svg)
        elif isinstance(value, Mapping):
            yield from _drawings(*value.values())
        elif isinstance(value, tuple):
            yield from _drawings(*value)


def page_steps(console: Console) -> Iterator[Callable[[], object]]:
    """Compute what overview, Today, lists, models and retention show, the most awaited first."""
    answers, texts = console.answers, words(choose_locale(console.answers.shop.settings.shop.locale))
    yield from _drawings(opening_charts(console, texts))
    yield from compile_templates()
    yield partial(run_items_of, answers)
    yield partial(index_at_last_run, answers)
    yield partial(answers.cached, "watch list history", lambda: watch_list_history(last_run(answers.shop)))
    yield partial(show_models, answers)
    yield partial(prepare_contacts, answers.shop)
    yield partial(show_retention, answers)
