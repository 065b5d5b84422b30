"""A policy judged before it is switched on: on logged decisions, and on a simulated shop."""

from dataclasses import dataclass
from pathlib import Path

from patron.commands.offers.dry_run_policy import DryRuns, dry_run
from patron.commands.offers.logged_policy_value import LoggedValue, logged_value
from patron.schema.progress import Progress
from patron.storage.offers.policy import Policy
from patron.storage.shop import Shop


@dataclass(frozen=True)
class PolicyTrial:
    """What there is to know of a policy before it is switched on."""

    candidate: Policy
    today: Policy
    logged: LoggedValue
    dry_runs: DryRuns


def try_policy(shop: Shop, path: Path, *, months: int, seed: int, progress: Progress) -> PolicyTrial:
    """Judge a policy file on the logged decisions of a workspace and on a simulated shop; changes nothing.

    Raises SettingsError for a file that is not valid.
    """
    candidate = Policy.load(path)
    progress("judging logged decisions", 0, 1)
    logged = logged_value(shop, candidate, seed=seed)
    runs = dry_run(
        candidate,
        shop.policy,
        margin_share=shop.settings.shop.margin_share,
        months=months,
        seed=seed,
        progress=progress,
    )
    return PolicyTrial(candidate, shop.policy, logged, runs)
