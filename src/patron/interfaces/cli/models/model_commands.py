"""`patron models`: the models that were kept, and what people decide about them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from patron.interfaces.cli import output
from patron.interfaces.cli.options import HERE, AsJson, SystemUser, Workspace, command_context, system_user

models = typer.Typer(
    name="models",
    help="Look after fitted models: list, roll back, verify, approve, export.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
Model = Annotated[str, typer.Argument(help="Question, or QUESTION/VERSION, from `patron models list`.")]


@models.command("list")
def list_(
    most: Annotated[int, typer.Option(help="Newest models of each question to list.", min=1)] = 10,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """List the models of completed runs, each with its backtest next to the best baseline.

    Older models are listed if they are in use, or if somebody pinned, released or approved them.

    Example: patron models list --workspace shop
    """
    from patron.answers.models.model_versions import model_versions
    from patron.interfaces.cli.models.render_models import show_versions
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    show_versions(model_versions(shop, most=most), shop.settings.shop.currency, json=json)


@models.command()
def ledger(
    most: Annotated[int, typer.Option(help="Newest forecasts of each question to list.", min=1)] = 6,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Compare earlier forecasts with what came: bias, error and coverage, scored when each came due.

    Example: patron models ledger --workspace shop
    """
    from patron.answers.models.forecast_ledger import forecast_ledger
    from patron.interfaces.cli.models.render_ledger import show_ledger
    from patron.interfaces.i18n.formats import Formats
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    formats = Formats("en", shop.settings.shop.currency, shop.settings.shop.time_zone)
    show_ledger(forecast_ledger(shop), formats, most=most, json=json)


@models.command()
def show(model: Model, workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Show a model: its card, what it was fitted to, and what people decided about it.

    Example: patron models show value --workspace shop
    """
    from patron.answers.models.model_versions import model_detail
    from patron.interfaces.cli.models.render_models import show_model
    from patron.interfaces.i18n.formats import Formats
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    formats = Formats("en", shop.settings.shop.currency, shop.settings.shop.time_zone)
    show_model(model_detail(shop, model), formats, json=json)


@models.command()
def rollback(
    question: Annotated[str, typer.Argument(help="Question, such as value or churn.")],
    reason: Annotated[str, typer.Option(help="Why, for everybody who sees the pin; no personal data.")],
    to: Annotated[
        str | None, typer.Option(help="Version to roll back to (default: the one before that in use).")
    ] = None,
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Score a question with an earlier model, until it is released.

    Later trainings still fit, judge and keep their champion.

    Example: patron models rollback value --reason "forecasts jumped" --workspace shop
    """
    from patron.commands.models import manage_models
    from patron.interfaces.cli.models.render_models import show_rollback
    from patron.storage.shop import Shop

    shop = Shop.open(workspace)
    pinned = manage_models.roll_back(shop, question, version=to, reason=reason, now=datetime.now(UTC))
    show_rollback(pinned, shop.settings.shop.time_zone, json=json)


@models.command()
def release(
    question: Annotated[str, typer.Argument(help="Question that is pinned to a model.")],
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """End a rollback: from the next run on its champion scores again.

    Example: patron models release value --workspace shop
    """
    from patron.commands.models import manage_models
    from patron.storage.shop import Shop

    pin = manage_models.release(Shop.open(workspace), question, now=datetime.now(UTC))
    output.answer(
        pin,
        f"{question} is no longer pinned to {pin.model_version}; the next `patron run` uses its champion.",
        json=json,
    )


@models.command()
def season(
    file: Annotated[
        Path | None,
        typer.Argument(help="CSV file: first week, last week, factor, confidence; an empty one removes it."),
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Print the lines of a trade to begin with: presents, fashion or food.")
    ] = None,
    by: SystemUser = "",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Show the season that the shop expects and what came of it, or enter another one from a file.

    Weeks are 2026-W48; a factor of 1 is an average week of the year; confidence is sure, likely or guess.

    Example: patron models season season.csv --workspace shop
    """
    from patron.commands.models.enter_season import enter_season, read_season_file
    from patron.interfaces.cli.models.render_season import show_entered_season, show_season
    from patron.storage.models import season_templates
    from patron.storage.runs.answer_cache import AnswerCache
    from patron.storage.shop import Shop

    if template is not None:
        if template not in season_templates.TEMPLATES:
            raise typer.BadParameter(f"{template!r} is not one of {', '.join(season_templates.TEMPLATES)}")
        spans = season_templates.template_spans(template, datetime.now(UTC).date())
        output.answer([span.row for span in spans], "\n".join(span.line for span in spans), json=json)
        return
    shop = Shop.open(workspace)
    if file is not None:
        show_entered_season(enter_season(command_context(shop, by), read_season_file(file)), json=json)
        return
    show_season(AnswerCache(shop), json=json)


@models.command()
def approve(
    model: Model,
    name: Annotated[str, typer.Option("--as", help="Who approves it.")],
    note: Annotated[str, typer.Option(help="What the approval rests on.")] = "",
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Record that a person approves a model; its card shows who, when and why.

    Example: patron models approve value/2024-03-01 --as "A. Lee" --workspace shop
    """
    from patron.commands.models import manage_models
    from patron.storage.shop import Shop

    approval = manage_models.approve(Shop.open(workspace), model, name=name, note=note, now=datetime.now(UTC))
    output.answer(approval, f"{approval.model_version} is approved by {approval.name}.", json=json)


@models.command()
def verify(model: Model, workspace: Workspace = HERE, *, json: AsJson = False) -> None:
    """Fit a model again from its manifest, and compare every byte.

    Exits with 1 if a file differs.

    Example: patron models verify value --workspace shop
    """
    from patron.commands.models import verify_model
    from patron.interfaces.cli.models.render_models import show_verification
    from patron.storage.shop import Shop

    with output.progress("fitting the model again"):
        verification = verify_model.verify_model(Shop.open(workspace), model)
    show_verification(verification, json=json)
    if not verification.is_same:
        raise typer.Exit(1)


@models.command()
def export(
    model: Model,
    mlflow: Annotated[Path, typer.Option(help="New folder to write in MLflow's model format.", file_okay=False)],
    workspace: Workspace = HERE,
    *,
    json: AsJson = False,
) -> None:
    """Export a model for `mlflow.pyfunc.load_model`.

    Example: patron models export value --mlflow value-model --workspace shop
    """
    from patron.commands.models import export_model
    from patron.storage.shop import Shop

    shop, by = Shop.open(workspace), system_user("")
    exported = export_model.export_to_mlflow(command_context(shop, by), model, mlflow)
    output.answer(
        exported, f"{exported.folder} has {exported.model_version}: load it with mlflow.pyfunc.load_model.", json=json
    )


COMMANDS = (models,)
