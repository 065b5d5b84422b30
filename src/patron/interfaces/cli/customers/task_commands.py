"""`patron tasks`: what became of tasks of staff, what they changed, and what that suggests."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Locale, SystemUser, Workspace, command_context

tasks = typer.Typer(
    name="tasks",
    help="Read what became of tasks and what they changed, and propose what to change.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@tasks.callback()
def group() -> None:
    """Read what became of tasks and what they changed, and propose what to change."""


@tasks.command()
def results(
    by: Annotated[str, typer.Option(help="person, playbook, reason or month.")] = "person",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Show what became of tasks: done, with which outcome, and how long it took.

    Example: patron tasks results --by month --workspace shop
    """
    from patron.answers.customers.task_results import task_results
    from patron.interfaces.cli.customers.render_tasks import show_results
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_results(shop, task_results(shop, by, now=datetime.now(UTC)), json=json)  # pyright: ignore[reportArgumentType] - the answer checks it


@tasks.command()
def effect(locale: Locale = None, workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Show what tasks changed: customers with a task against those who were held out by lot.

    Example: patron tasks effect --workspace shop
    """
    from patron.answers.customers.task_suggestions import task_advice
    from patron.interfaces.cli.customers.render_tasks import show_effects
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_effects(shop, task_advice(shop), locale, json=json)


@tasks.command()
def propose(
    code: Annotated[str, typer.Argument(help="Code of a suggestion, as `patron tasks effect` lists it.")],
    by: SystemUser = "",
    locale: Locale = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Propose a change of the policy that the effect of tasks suggests; another person approves it.

    Example: patron tasks propose larger_holdout --as "A. Lee" --workspace shop
    """
    from patron.commands.offers.propose_policy import propose_changes
    from patron.interfaces.cli.customers.render_tasks import suggested_change
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    changes, note = suggested_change(shop, code, locale)
    version = shop.policy.version
    number = propose_changes(command_context(shop, by), changes, base_version=version, note=note)
    output.answer(
        {"proposal_id": number},
        f"Proposal {number} is open. Another person approves it: patron policy approve {number} --as NAME",
        json=json,
    )


COMMANDS = (tasks,)
