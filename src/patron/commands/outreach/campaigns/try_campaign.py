"""Try a campaign on a simulated shop whose truth is known, against its forecast and what it must reach."""

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from patron.commands.data.simulated_loop import ingest_events, seeded_workspace, settings_of_files_alone
from patron.commands.offers.dry_run_policy import delete_keys
from patron.commands.outreach.campaigns.simulated_campaign import (
    PlayedCampaign,
    play_campaign,
    simulated_policy,
    simulated_settings,
)
from patron.run import run_loop
from patron.schema.errors import BadCampaign
from patron.schema.progress import Progress
from patron.schema.sentences import Sentence, Text
from patron.simulate.simulator import ShopSimulator
from patron.storage.outreach.campaign_file import CAMPAIGN, Campaign
from patron.storage.segments.segment_definitions import definitions, save_definition
from patron.storage.shop import Shop

TRIAL_EFFECT = Sentence(
    "trial_effect", "The effect per customer is {amount:,.2f}, and at least {least:,.2f} is expected."
)
TRIAL_PROFIT = Sentence(
    "trial_profit", "The incremental profit is {amount:,.2f}, and at least {least:,.2f} is expected."
)
TRIAL_LONG = Sentence("trial_long", "lasts {days:,} days, and a trial plays at most {most}")
TRIAL_OF_RUN = Sentence("trial_of_run", "sends the offers of the run {run}, which no simulated shop has")
TRY_SEGMENT = Sentence(
    "try_segment", "Try a campaign for a segment; the run's offers are compared with its own holdout."
)
TRIAL_SHORTER = Sentence("trial_shorter", "Save it with an earlier end to try it.")

HISTORY_DAYS = 270
MAX_LENGTH = timedelta(days=180)
"""From start to end of a campaign that can be tried: every day of it is simulated."""
CUSTOMERS = 1_000
"""Customers of the simulated shop unless others are wanted."""


@dataclass(frozen=True)
class MarginEstimate:
    """Incremental margin of all messages with its interval, cents."""

    cents: float
    low_cents: float
    high_cents: float


@dataclass(frozen=True)
class TrialFigures:
    """What a trial found in numbers; incremental margin in cents, net of sending."""

    customers: int
    seed: int
    message_count: int
    forecast: MarginEstimate
    measured: MarginEstimate | None
    """Against the holdout; None where nothing could be measured."""
    truth_cents: float
    truth_each_cents: float
    """Per message."""
    unmet: tuple[str, ...]
    """What the campaign is expected to reach and the truth does not, in sentences."""
    unmet_texts: tuple[dict[str, Any], ...]
    """The same with codes and values."""


@dataclass(frozen=True)
class CampaignTrial:
    """A campaign on the simulated shop; amounts in cents."""

    campaign: str
    customers: int
    """Customers at the opening of the simulated shop."""
    seed: int
    played: PlayedCampaign
    unmet: tuple[Text, ...]
    """What the file's section [expect] requires and the truth does not reach, in sentences."""

    @property
    def is_as_expected(self) -> bool:
        """Whether everything is reached that the file requires."""
        return not self.unmet

    @property
    def figures(self) -> TrialFigures:
        """What a page shows of it."""
        played = self.played
        forecast, best = played.plan.forecast, played.result.effects[-1] if played.result.effects else None
        return TrialFigures(
            self.customers,
            self.seed,
            message_count=played.plan.message_count,
            forecast=MarginEstimate(forecast.margin_cents, forecast.low_cents, forecast.high_cents),
            measured=MarginEstimate(best.total_cents, best.total_low_cents, best.total_high_cents) if best else None,
            truth_cents=played.truth_total_cents,
            truth_each_cents=played.truth_cents,
            unmet=tuple(map(str, self.unmet)),
            unmet_texts=tuple(one.plain() for one in self.unmet),
        )


def try_saved_campaign(shop: Shop, name: str, version: int, *, progress: Progress) -> CampaignTrial:
    """Play a version of a campaign, as `try_campaign` does. Raises NotFound, BadCampaign, BadSegment."""
    with shop.store.begin() as connection:
        campaign = CAMPAIGN.version(connection, name, version)
    return _try(shop, campaign, customers=CUSTOMERS, seed=0, progress=progress)


def try_campaign(shop: Shop, path: Path, *, customers: int, seed: int, progress: Progress) -> CampaignTrial:
    """Play the campaign of a file on a simulated shop with the workspace's policy, margin and segments.

    The workspace is not changed. No simulated customer has a tag. Raises BadCampaign, BadSegment, NotFound.
    """
    return _try(shop, Campaign.load(path), customers=customers, seed=seed, progress=progress)


def _try(shop: Shop, campaign: Campaign, *, customers: int, seed: int, progress: Progress) -> CampaignTrial:
    if campaign.window > MAX_LENGTH:
        what = TRIAL_LONG(days=campaign.window.days, most=MAX_LENGTH.days)
        raise BadCampaign(what, where=campaign.name, todo=TRIAL_SHORTER)
    if campaign.run:
        raise BadCampaign(TRIAL_OF_RUN(run=campaign.run), where=campaign.name, todo=TRY_SEGMENT)
    played = _play(shop, campaign, customers=customers, seed=seed, progress=progress)
    return CampaignTrial(campaign.name, customers, seed=seed, played=played, unmet=_unmet(campaign, played))


def _unmet(campaign: Campaign, played: PlayedCampaign) -> tuple[Text, ...]:
    """Judged by the truth, which is free of chance."""
    expect = campaign.expect
    if expect is None:
        return ()
    reached = (
        (TRIAL_EFFECT, expect.least_effect, played.truth_cents),
        (TRIAL_PROFIT, expect.least_profit, played.truth_total_cents),
    )
    return tuple(
        unmet(amount=cents / 100, least=least)
        for unmet, least, cents in reached
        if least is not None and cents < least * 100
    )


def _play(shop: Shop, campaign: Campaign, *, customers: int, seed: int, progress: Progress) -> PlayedCampaign:
    settings = simulated_settings(shop.policy, customers, shop.settings.shop.margin_share)
    with settings_of_files_alone(), tempfile.TemporaryDirectory() as place:
        names = {"name": "Trial", "currency": shop.settings.shop.currency, "time_zone": "UTC"}
        trial = seeded_workspace(Path(place) / "shop", seed, names)
        try:
            trial.policy = simulated_policy(shop.policy)
            of_shop = trial.settings.shop.model_copy(update={"margin_share": settings.margin_share})
            trial.settings = trial.settings.model_copy(update={"shop": of_shop})
            world = ShopSimulator(settings, seed)
            progress("simulating a history", 0, None)
            ingest_events(trial, world.history(HISTORY_DAYS), received_at=world.now)
            with trial.store.begin() as connection:
                for definition in definitions(shop.store).values():
                    save_definition(
                        connection, definition.name, definition.rule, saved_by=definition.saved_by, at=world.now
                    )
            run_loop(trial, world.now, progress=progress)
            return play_campaign(trial, world, campaign, progress=progress)
        finally:
            trial.close()
            delete_keys(trial.workspace_id)
