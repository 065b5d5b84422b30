"""`patron campaign send` and `patron campaign settle`: messages go out, and what is unknown of them is settled."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Workspace, command_context

if TYPE_CHECKING:
    from patron.commands.outreach.messages.send_campaign import SendSummary

UNKNOWN_LEFT = 3
"""Exit code where the outcome of some messages is unknown."""
STEPS_BEFORE_SEND = {"draft": "it is planned and approved", "planned": "it is approved", "paused": "it is resumed"}
"""What a campaign still needs before it is sent, by its state."""
Name = Annotated[str, typer.Argument(help="Name of the campaign.")]


def send(  # noqa: PLR0913 - one argument for each option
    name: Name,
    by: Annotated[str, typer.Option("--as", help="Who sends it (default: the system account's name).")] = "",
    workspace: Workspace = HERE,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be sent now, and why not; send nothing.")
    ] = False,
    planned: Annotated[
        bool, typer.Option("--planned", help="Wait for each customer's planned time, as `patron serve` does.")
    ] = False,
    only_due: Annotated[
        bool,
        typer.Option("--due", help="End when nothing more can go out now, instead of waiting."),
    ] = False,
    json: AsJson = False,
) -> None:
    """Send an approved campaign now, to its end; only quiet hours, caps and a busy provider are waited for.

    It can be stopped and sent again at any time: nothing is sent twice. Exits with 3 if the outcome of some messages
    is unknown.

    Example: patron campaign send "win back spring" --workspace shop
    """
    from patron.commands.outreach.messages.send_campaign import preview_send, send_until_done
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    if dry_run:
        _show(preview_send(shop, name, now=datetime.now(UTC), is_early=not planned), json=json, is_dry=True)
        return
    with _stopped_by_signals() as stop, output.progress("sending") as tick:
        summary = send_until_done(
            command_context(shop, by),
            name,
            wait=stop.wait,
            progress=tick,
            should_stop=stop.is_set,
            is_only_due=only_due,
            is_early=not planned,
        )
    _show(summary, json=json)
    if summary.unknown_count:
        raise typer.Exit(UNKNOWN_LEFT)


def settle(  # noqa: PLR0913 - one argument for each option
    name: Name,
    message: Annotated[str, typer.Option(help="Message of unknown outcome, by its id; without it, list them.")] = "",
    by: Annotated[str, typer.Option("--as", help="Who looked it up (default: the system account's name).")] = "",
    workspace: Workspace = HERE,
    *,
    mail_log: Annotated[
        list[Path] | None,
        typer.Option(help="Log of Postfix, or main log of Exim, to look into; several in order of time."),
    ] = None,
    is_sent: Annotated[
        bool | None, typer.Option("--sent/--not-sent", help="Whether it was sent; if not, it goes out in its turn.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Settle messages whose outcome is unknown: by receipts, by the mail server's log, and the rest by a person.

    What bounces and other receipts prove to have been sent, and what a log names, is settled; the rest is listed by id,
    which is part of the Message-ID.

    Example: patron campaign settle "win back spring" --mail-log /var/log/mail.log --workspace shop

    Example: patron campaign settle "win back spring" --message 3f2a... --sent --workspace shop
    """
    from patron.commands.outreach.messages.settle_message import settle_by_evidence, settle_message, unknown_messages
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    if message and is_sent is None:
        raise typer.BadParameter("say whether it was sent: --sent or --not-sent")
    settled = settle_by_evidence(command_context(shop, by), name, mail_logs=mail_log or ())
    if message:
        settle_message(command_context(shop, by), name, message, is_sent=bool(is_sent))
    left = unknown_messages(shop, name)
    if json:
        output.as_json({"unknown": left, "settled": settled})
        return
    if settled.receipts:
        output.say(f"{settled.receipts:,} were sent, as receipts prove.")
    if settled.mail_log:
        output.say(f"{settled.mail_log:,} were sent, as the mail server's log says.")
    for one in left:
        output.say(one)
    output.say(f"{len(left):,} messages are of unknown outcome." if left else "Every outcome is known.")


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C or SIGTERM sets: what is on its way is answered; a second one ends at once."""
    stop = threading.Event()

    def ask(number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        signal.signal(number, signal.default_int_handler)

    before = {one: signal.signal(one, ask) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _show(summary: "SendSummary", *, json: bool, is_dry: bool = False) -> None:
    from patron.schema.outreach.message_states import MESSAGE_REASONS

    if json:
        output.as_json(summary)
        return
    reasons = dict(summary.by_reason)
    due = reasons.pop("due", 0)
    if is_dry:
        output.say(f"{summary.campaign}: {summary.state}")
        output.say(f"{due:,} messages would go out now; {summary.sent_count:,} have gone out.")
        if summary.state in STEPS_BEFORE_SEND:
            output.say(f"Nothing goes out before {STEPS_BEFORE_SEND[summary.state]}.")
    else:
        output.say(f"{summary.campaign}: {summary.state}; {summary.sent_count:,} messages sent.")
    for label, count in (
        ("wait", 0 if is_dry else summary.waiting_count),
        ("failed", summary.failed_count),
        ("would be skipped" if is_dry else "are skipped", summary.skipped_count),
        ("are of unknown outcome", summary.unknown_count),
    ):
        if count:
            output.say(f"{count:,} {label}.")
    if reasons:
        rows = [
            (MESSAGE_REASONS.get(code, code), f"{n:,}") for code, n in sorted(reasons.items(), key=lambda one: -one[1])
        ]
        output.grid("", ("why", "messages"), rows, numbers=1)
    if summary.next_due_at and not is_dry:
        output.say(f"The next one is due at {summary.next_due_at:%Y-%m-%d %H:%M} UTC.")
    if summary.unknown_count:
        output.say(f'Settle what is unknown: patron campaign settle "{summary.campaign}".')
