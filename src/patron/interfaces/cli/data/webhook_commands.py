"""`patron webhooks`: which systems of the shop hear what happens."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Workspace, command_context

if TYPE_CHECKING:
    from patron.commands.data.manage_webhooks import NewWebhookSecret
    from patron.storage.data.webhooks import WebhookDelivery, WebhookEndpoint

webhooks = typer.Typer(
    name="webhooks",
    help="Manage webhooks: signed requests that report events to the shop's own systems.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
Shown = Annotated[str, typer.Argument(help="Webhook id, from `patron webhooks list`.")]
BY = "patron webhooks"


@webhooks.command()
def add(
    url: Annotated[str, typer.Argument(help="Address that takes the requests.")],
    event: Annotated[
        list[str], typer.Option(help="Kind of event such as run.finished; may be repeated.", metavar="KIND")
    ],
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Add a webhook and show its secret once.

    Example: patron webhooks add --workspace shop https://shop.example/patron --event run.finished
    """
    from patron.commands.data.manage_webhooks import add_webhook
    from patron.storage.shop import Shop

    _show_secret(
        add_webhook(command_context(Shop.open(workspace), BY), url, event, note=note),
        json=json,
    )


@webhooks.command("list")
def list_(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List the webhooks, without their secrets.

    Example: patron webhooks list --workspace shop
    """
    from patron.answers.data.webhook_log import list_webhooks
    from patron.storage.shop import Shop

    listed = list_webhooks(Shop.open(workspace))
    if json:
        output.as_json(listed)
        return
    for one in listed:
        output.say(f"{one.endpoint_id}  {one.url}  {_state(one)}  {', '.join(one.events)}")
    if not listed:
        output.say("No webhooks yet: patron webhooks add https://shop.example/patron --event run.finished")


@webhooks.command()
def log(webhook_id: Shown, workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List the last 50 deliveries to a webhook, the newest event first.

    Example: patron webhooks log --workspace shop 0a1b2c3d4e5f
    """
    from patron.answers.data.webhook_log import list_deliveries
    from patron.storage.shop import Shop

    listed = list_deliveries(Shop.open(workspace), webhook_id).deliveries
    if json:
        output.as_json(listed)
        return
    for one in listed:
        _show(one)
    if not listed:
        output.say("Nothing was sent yet.")


@webhooks.command("test")
def send_test(webhook_id: Shown, workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Send a test event at once, and show what was answered.

    Example: patron webhooks test --workspace shop 0a1b2c3d4e5f
    """
    from patron.commands.data.send_webhooks import send_test_event
    from patron.storage.shop import Shop

    delivery = send_test_event(Shop.open(workspace), webhook_id, clock=lambda: datetime.now(UTC))
    output.as_json(delivery) if json else _show(delivery)


@webhooks.command()
def resend(
    webhook_id: Shown,
    message_id: Annotated[str, typer.Argument(help="Message id, from `patron webhooks log`.")],
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Send a message of the log once more, under the same id.

    Example: patron webhooks resend --workspace shop 0a1b2c3d4e5f msg_0123456789abcdef01234567
    """
    from patron.commands.data.send_webhooks import resend_webhook
    from patron.storage.shop import Shop

    delivery = resend_webhook(Shop.open(workspace), webhook_id, message_id, clock=lambda: datetime.now(UTC))
    output.as_json(delivery) if json else _show(delivery)


@webhooks.command()
def rotate(
    webhook_id: Shown,
    overlap_hours: Annotated[
        float, typer.Option(help="Hours for which the old secret signs, too, 0 to 168.", min=0, max=168)
    ] = 24,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Make a new secret and show it once; for a while both sign.

    Example: patron webhooks rotate --workspace shop 0a1b2c3d4e5f
    """
    from patron.commands.data.manage_webhooks import rotate_webhook_secret
    from patron.storage.shop import Shop

    rotated = rotate_webhook_secret(command_context(Shop.open(workspace), BY), webhook_id, overlap_hours=overlap_hours)
    _show_secret(rotated, json=json)


@webhooks.command()
def enable(webhook_id: Shown, workspace: Workspace = HERE) -> None:
    """Report to a webhook again.

    Example: patron webhooks enable --workspace shop 0a1b2c3d4e5f
    """
    from patron.commands.data.manage_webhooks import enable_webhook
    from patron.storage.shop import Shop

    enable_webhook(command_context(Shop.open(workspace), BY), webhook_id)
    output.say(f"Enabled {webhook_id}.")


@webhooks.command()
def disable(webhook_id: Shown, workspace: Workspace = HERE) -> None:
    """Report nothing to a webhook until it is enabled.

    Example: patron webhooks disable --workspace shop 0a1b2c3d4e5f
    """
    from patron.commands.data.manage_webhooks import disable_webhook
    from patron.storage.shop import Shop

    disable_webhook(command_context(Shop.open(workspace), BY), webhook_id)
    output.say(f"Disabled {webhook_id}.")


@webhooks.command()
def delete(webhook_id: Shown, workspace: Workspace = HERE) -> None:
    """Delete a webhook, its secret and its log.

    Example: patron webhooks delete --workspace shop 0a1b2c3d4e5f
    """
    from patron.commands.data.manage_webhooks import delete_webhook
    from patron.storage.shop import Shop

    delete_webhook(command_context(Shop.open(workspace), BY), webhook_id)
    output.say(f"Deleted {webhook_id}.")


def _show_secret(new: "NewWebhookSecret", *, json: bool) -> None:
    if json:
        output.as_json(new)
        return
    until = (
        f" The previous secret signs until {new.old_secret_until:%Y-%m-%d %H:%M} UTC, too."
        if new.old_secret_until
        else ""
    )
    output.say(new.secret)
    output.say(f"This secret of webhook {new.endpoint_id} is shown only once.{until}")


def _show(one: "WebhookDelivery") -> None:
    output.say(f"{one.happened_at:%Y-%m-%d %H:%M}  {one.event}  {one.state}  {one.answer}  {one.message_id}")


def _state(one: "WebhookEndpoint") -> str:
    return "enabled" if one.disabled_at is None else f"disabled {one.disabled_at:%Y-%m-%d} ({one.disabled_why})"


COMMANDS = (webhooks,)
