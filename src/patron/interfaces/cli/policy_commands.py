"""`patron policy`: the policy in force, and another one before it is switched on."""

from pathlib import Path
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Locale, Workspace

File = Annotated[Path, typer.Argument(help="A policy file, such as an edited copy of policy.toml.")]

policy = typer.Typer(
    name="policy",
    help="Show the policy in force, and judge another one before it is switched on.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@policy.callback()
def group() -> None:
    """Show the policy in force, and judge another one before it is switched on."""


@policy.command()
def show(locale: Locale = None, workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Show the policy in force in sentences.

    Example: patron policy show --workspace shop --locale zh_CN
    """
    from patron.answers.policy_in_force import policy_in_force
    from patron.interfaces.cli.render_policy import show_policy
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_policy(policy_in_force(shop), shop.settings.shop, locale, json=json)


@policy.command()
def check(file: File, locale: Locale = None, workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Check that a policy file is valid, and show what it changes.

    Example: patron policy check new-policy.toml --workspace shop
    """
    from patron.commands.check_policy import check_policy
    from patron.interfaces.cli.render_policy import show_check
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_check(check_policy(shop, file), shop.settings.shop, locale, json=json)


@policy.command(name="try")
def try_(
    file: File,
    months: Annotated[int, typer.Option(min=1, max=24, help="Months of the dry run on a simulated shop.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same result.")] = 0,
    locale: Locale = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Judge a policy file before it is switched on: on past decisions, and on a simulated shop. Changes nothing.

    Example: patron policy try new-policy.toml --workspace shop --months 3
    """
    from patron.commands.try_policy import try_policy
    from patron.interfaces.cli.render_policy import show_trial
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    with output.progress("trying the policy") as tick:
        trial = try_policy(shop, file, months=months, seed=seed, progress=tick)
    show_trial(trial, shop.settings.shop, locale, json=json)


COMMANDS = (policy,)
