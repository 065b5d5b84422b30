"""`patron channels`: the ways to customers, what is missing, and what came back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Workspace, command_context
from patron.schema.outreach.channels import ADDRESS_KINDS, CHANNELS, CONFIGURABLE, DESCRIBED
from patron.schema.spelling import one_of

channels = typer.Typer(
    name="channels",
    help=f"Set up and try the ways to customers: {', '.join(CHANNELS[name].label for name in CONFIGURABLE)}.",
    rich_markup_mode="rich",
)


@channels.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    *,
    example: Annotated[bool, typer.Option("--example", help="Print a section of patron.toml that works here.")] = False,
    channel: Annotated[str, typer.Option(help=f"Channel of the section: {one_of(CONFIGURABLE)}.")] = "email",
) -> None:
    """Set up and try the ways to customers."""
    if example:
        from patron.commands.outreach.channels.channel_examples import example_section

        output.say(example_section(channel).rstrip())
    elif context.invoked_subcommand is None:
        output.say(context.get_help())
        raise typer.Exit(2)


@channels.command("list")
def list_(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List the channels: configured, reachable, signed, and what is missing.

    Example: patron channels list --workspace shop
    """
    from patron.commands.outreach.channels.channel_checks import check_channels
    from patron.interfaces.cli.outreach.render_campaigns import show_awaiting
    from patron.storage.outreach.pending_approvals import SETTINGS_SECTIONS, pending_approvals
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    states = check_channels(shop, clock_at=datetime.now(UTC))
    if json:
        output.as_json(states)
        return
    for state in states:
        words = {
            True: "reachable",
            False: "not reachable",
            None: ("ready" if state.is_signed else "incomplete") if state.is_configured else "not configured",
        }[state.is_reachable]
        how = CHANNELS[state.name].signature
        signed = (how if state.is_signed else "not signed") if how and state.is_configured else ""
        output.say("  ".join(part for part in (state.name, state.server, words, signed) if part))
        for problem in state.problems:
            output.say(f"  - {problem}")
    show_awaiting(pending_approvals(shop, sections=SETTINGS_SECTIONS), "The settings changed")


@channels.command("test")
def try_channel(
    address: Annotated[str, typer.Argument(help=f"Your own {one_of(kind.label for kind in ADDRESS_KINDS)}.")],
    channel: Annotated[str, typer.Option(help=f"Channel: {', '.join(CONFIGURABLE)} ...")] = "email",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Send one message to yourself, signed, with a link to unsubscribe.

    Example: patron channels test you@shop.example --workspace shop
    """
    from patron.commands.outreach.channels.channel_checks import send_test
    from patron.storage.shop import Shop

    answer = send_test(Shop.open(workspace), address, now=datetime.now(UTC), channel=channel)
    output.answer(answer, f"{answer.outcome}: {answer.detail}", json=json)
    if answer.outcome != "sent":
        raise typer.Exit(1)


@channels.command("provider-example")
def provider_example(channel: Annotated[str, typer.Argument(help=f"{one_of(DESCRIBED)}.")]) -> None:
    """Print a file that describes a provider and works with a server on this machine.

    Example: patron channels provider-example sms > shop/sms.toml
    """
    from patron.commands.outreach.channels.channel_examples import provider_example as example

    output.say(example(channel).rstrip())


@channels.command()
def key(
    selector: Annotated[str, typer.Option(help="Selector of the key, as in dkim_selector.")] = "patron",
    file: Annotated[str, typer.Option(help="File within the workspace, as in dkim_key_file.")] = "dkim.pem",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Make a key that signs e-mail (DKIM) unless there is one, and print the DNS record that your domain needs.

    Example: patron channels key --workspace shop
    """
    from patron.commands.outreach.channels.channel_keys import make_dkim_key
    from patron.storage.shop import Shop

    dkim = make_dkim_key(Shop.open(workspace), selector=selector, file=file)
    if json:
        output.as_json(dkim)
        return
    output.say(f"{'New key' if dkim.is_new else 'Key'}: {dkim.file} (it is in no backup: keep a copy).")
    output.say("Add this TXT record to your domain:")
    output.say(f"{dkim.record_name}  TXT  {dkim.record}")


@channels.command("push-key")
def push_key(
    file: Annotated[str, typer.Option(help="File within the workspace, as in key_file.")] = "push.pem",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Make a key for web push unless there is one, and print what a page needs so that browsers subscribe.

    Example: patron channels push-key --workspace shop
    """
    from patron.commands.outreach.channels.channel_keys import make_push_key
    from patron.storage.shop import Shop

    web_push = make_push_key(Shop.open(workspace), file=file)
    if json:
        output.as_json(web_push)
        return
    output.say(f"{'New key' if web_push.is_new else 'Key'}: {web_push.file} (it is in no backup: keep a copy).")
    output.say(f"Public key: {web_push.public_key}")
    output.say(f"\n{web_push.page_script}\n{web_push.worker_script.rstrip()}")


@channels.command("webhook-secret")
def webhook_secret(
    file: Annotated[str, typer.Option(help="File within the workspace, as in secret_file.")] = "webhook.secret",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Make a secret that signs webhooks unless there is one; the receiver needs a copy of the file.

    Example: patron channels webhook-secret --workspace shop
    """
    from patron.commands.outreach.channels.channel_keys import make_webhook_secret
    from patron.storage.shop import Shop

    secret = make_webhook_secret(Shop.open(workspace), file=file)
    output.answer(
        secret,
        f"{'New secret' if secret.is_new else 'Secret'}: {secret.file} (it is in no backup: keep a copy).",
        json=json,
    )


@channels.command()
def preview(
    campaign: Annotated[str, typer.Argument(help="Saved campaign by its name.")],
    customer: Annotated[str, typer.Option(help="Customer by the shop's own id, or the opaque one.")],
    out: Annotated[Path | None, typer.Option(help="File for the HTML (default: print subject and text).")] = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Render a campaign's message for a real customer, and send nothing.

    Example: patron channels preview "win back spring" --customer 1042 --out preview.html --workspace shop
    """
    from patron.commands.outreach.messages.preview_message import preview_message, write_preview
    from patron.storage.shop import Shop

    message = preview_message(command_context(Shop.open(workspace)), campaign, customer)
    if out is not None:
        write_preview(message, out)
    if json:
        output.as_json(message)
        return
    output.say(f"Subject ({message.language or 'own language'}): {message.subject}")
    output.say(f"Written to {out}." if out is not None else message.text)
    if message.length is not None:
        of = message.length
        output.say(f"{of.places} characters in {of.encoding}: {of.segments} segment{'s' if of.segments > 1 else ''}.")
    if not message.has_address:
        output.say("This customer has no address, and would be sent nothing.")


@channels.command()
def bounces(
    path: Annotated[Path, typer.Argument(help="Message, mbox, or folder of messages (Maildir, too).")],
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Read bounces, complaints and unsubscriptions from a mailbox; reading it again changes nothing.

    Example: patron channels bounces /var/mail/bounces --workspace shop
    """
    from patron.commands.outreach.messages.read_bounces import read_bounces
    from patron.storage.shop import Shop

    counts = read_bounces(Shop.open(workspace), path, now=datetime.now(UTC))
    if json:
        output.as_json(counts)
        return
    of = counts.receipts
    output.say(f"Messages read: {counts.messages:,}. Receipts: {of.recorded:,} new, {of.repeated:,} known.")
    output.say(f"Addresses suppressed: {of.suppressed:,}. People who unsubscribed: {counts.unsubscribed:,}.")
    if of.unknown or counts.ignored:
        output.say(f"Not about a message of ours, and without effect: {of.unknown + counts.ignored:,}.")
    if counts.unreadable:
        output.say(f"Not readable, and left out: {counts.unreadable:,}. Look at them in the mailbox.")


COMMANDS = (channels,)
