"""Try a campaign on a simulated shop whose truth is known, against its forecast and what it must reach."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from patron.commands.dry_run_policy import delete_keys
from patron.commands.simulated_campaign import (
    PlayedCampaign,
    play_campaign,
    simulated_policy,
    simulated_settings,
)
from patron.commands.simulated_loop import ingest_events, seeded_workspace
from patron.run import Progress, run_loop
from patron.simulate.simulator import ShopSimulator
from patron.storage.campaign_file import Campaign
from patron.storage.segment_definitions import definitions, save_definition
from patron.storage.shop import Shop

HISTORY_DAYS = 270


@dataclass(frozen=True)
class CampaignTrial:
    """A campaign on the simulated shop; amounts in cents."""

    campaign: str
    customers: int
    """Customers at the opening of the simulated shop."""
    seed: int
    played: PlayedCampaign
    unmet: tuple[str, ...]
    """What the file's section [expect] requires and the truth does not reach, in sentences."""

    @property
    def is_as_expected(self) -> bool:
        """Whether everything is reached that the file requires."""
        return not self.unmet


def try_campaign(shop: Shop, path: Path, *, customers: int, seed: int, progress: Progress) -> CampaignTrial:
    """Play the campaign of a file on a simulated shop with the workspace's policy, margin and segments.

    The workspace is not changed. Raises BadCampaign, BadSegment, NotFound.
    """
    campaign = Campaign.load(path)
    played = _play(shop, campaign, customers=customers, seed=seed, progress=progress)
    return CampaignTrial(campaign.name, customers, seed, played, _unmet(campaign, played))


def _unmet(campaign: Campaign, played: PlayedCampaign) -> tuple[str, ...]:
    """Judged by the truth, which is free of chance."""
    expect = campaign.expect
    if expect is None:
        return ()
    reached = (
        ("effect per customer", expect.least_effect, played.truth_cents),
        ("incremental profit", expect.least_profit, played.truth_total_cents),
    )
    return tuple(
        f"The {what} is {cents / 100:,.2f}, and at least {least:,.2f} is expected."
        for what, least, cents in reached
        if least is not None and cents < least * 100
    )


def _play(shop: Shop, campaign: Campaign, *, customers: int, seed: int, progress: Progress) -> PlayedCampaign:
    settings = simulated_settings(shop.policy, customers, shop.settings.shop.margin_share)
    with tempfile.TemporaryDirectory() as place:
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
                for one in definitions(shop.store).values():
                    save_definition(connection, one.name, one.rule, saved_by=one.saved_by, at=world.now)
            run_loop(trial, world.now, progress=progress)
            return play_campaign(trial, world, campaign, progress=progress)
        finally:
            trial.close()
            delete_keys(trial.workspace_id)
