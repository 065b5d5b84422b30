"""`patron policy`: the policy in force, another one before it is switched on, and how it gets there."""

from pathlib import Path
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, Locale, SystemUser, Workspace, command_context

Number = Annotated[int, typer.Argument(min=1, help="Number of the proposal.")]
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
    from patron.answers.offers.policy_in_force import policy_in_force
    from patron.interfaces.cli.offers.render_policy import show_policy
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_policy(policy_in_force(shop), shop.settings.shop, locale, json=json)


@policy.command()
def check(file: File, locale: Locale = None, workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Check that a policy file is valid, and show what it changes.

    Example: patron policy check new-policy.toml --workspace shop
    """
    from patron.commands.offers.check_policy import check_policy
    from patron.interfaces.cli.offers.render_policy import show_check
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
    from patron.commands.offers.try_policy import try_policy
    from patron.interfaces.cli.offers.render_policy import show_trial
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    with output.progress("trying the policy") as tick:
        trial = try_policy(shop, file, months=months, seed=seed, progress=tick)
    show_trial(trial, shop.settings.shop, locale, json=json)


@policy.command()
def propose(
    file: File,
    note: Annotated[str, typer.Option(help="Why, in a few words.")] = "",
    by: SystemUser = "",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Propose a policy file; another person approves it.

    Example: patron policy propose new-policy.toml --note "more for spring" --workspace shop
    """
    from patron.commands.offers import propose_policy
    from patron.storage.shop import Shop

    content = file.read_text(encoding="utf-8")
    number = propose_policy.propose_policy(command_context(Shop.open(workspace), by), content, note=note)
    output.answer(
        {"proposal_id": number},
        f"Proposal {number} is open. Another person approves it: patron policy approve {number} --as NAME",
        json=json,
    )


@policy.command()
def approve(number: Number, by: SystemUser = "", workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Approve a proposal: its policy is written to policy.toml, and the next run keeps to it. Its author cannot.

    Example: patron policy approve 3 --as "B. Kim" --workspace shop
    """
    from patron.commands.offers import propose_policy
    from patron.storage.shop import Shop

    approved = propose_policy.approve_proposal(command_context(Shop.open(workspace), by), number)
    output.answer(
        {"proposal_id": number, "version": approved.version}, f"The policy {approved.version} is in force.", json=json
    )


@policy.command()
def history(workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """List the proposals, newest first: who changed the policy, when, and what became of it.

    Example: patron policy history --workspace shop
    """
    from patron.answers.offers.policy_history import policy_proposals
    from patron.storage.shop import Shop

    proposals = policy_proposals(Shop.open(workspace))
    if json:
        output.as_json(proposals)
        return
    rows = [
        (
            f"{proposal.proposal_id}",
            proposal.state,
            proposal.proposed_by,
            f"{proposal.proposed_at:%Y-%m-%d}",
            proposal.decided_by,
            proposal.note,
        )
        for proposal in proposals
    ]
    output.grid("", ("number", "state", "proposed by", "on", "decided by", "note"), rows)


COMMANDS = (policy,)
