"""What a simulated storefront has seen with one policy, and the measures by which policies are compared."""

from dataclasses import dataclass

import numpy as np

from patron.simulate.storefront.storefront_policy import Scenario
from patron.simulate.storefront.storefront_products import ShopProducts

SCENARIOS: tuple[Scenario, ...] = ("home", "product")


@dataclass(frozen=True)
class Visits:
    """One row per visit, in order of time."""

    day: np.ndarray
    shopper: np.ndarray
    is_order: np.ndarray


@dataclass(frozen=True)
class Impressions:
    """One row per product shown, in order of time and position."""

    day: np.ndarray
    request: np.ndarray
    shopper: np.ndarray
    scenario: np.ndarray
    """Index into SCENARIOS."""
    item: np.ndarray
    position: np.ndarray
    """From 1."""
    propensity: np.ndarray
    click_chance: np.ndarray
    """True probability of a click at this place, 0 to 1."""
    is_clicked: np.ndarray


@dataclass(frozen=True)
class Purchases:
    """One row per unit bought, in order of time."""

    day: np.ndarray
    shopper: np.ndarray
    item: np.ndarray
    request: np.ndarray
    """Request of the list it was clicked in, or -1."""
    margin_cents: np.ndarray


@dataclass(frozen=True)
class StorefrontResult:
    """Logs of all days, and the truth about the products."""

    days: int
    products: ShopProducts
    visits: Visits
    impressions: Impressions
    purchases: Purchases
    true_click_share: np.ndarray
    """Mean probability of a click on a product that is looked at, over visits since its launch; NaN without any."""

    def click_rate(self, scenario: Scenario | None = None) -> float:
        """Clicks per product shown, 0 to 1."""
        return _mean(self.impressions.is_clicked[self._of(scenario)])

    def expected_click_rate(self, scenario: Scenario | None = None) -> float:
        """True probability of a click, mean over products shown; the click rate without its noise, 0 to 1."""
        return _mean(self.impressions.click_chance[self._of(scenario)])

    def clicks_per_list(self, scenario: Scenario | None = None) -> float:
        """Clicks per list request, count."""
        rows = self._of(scenario)
        lists = len(np.unique(self.impressions.request[rows]))
        return float(self.impressions.is_clicked[rows].sum() / max(lists, 1))

    def _of(self, scenario: Scenario | None) -> np.ndarray | slice:
        return slice(None) if scenario is None else self.impressions.scenario == SCENARIOS.index(scenario)

    @property
    def conversion(self) -> float:
        """Visits with a purchase, share of visits, 0 to 1."""
        return _mean(self.visits.is_order)

    @property
    def list_conversion(self) -> float:
        """Purchases after a click in a list, per list request, count."""
        lists = len(np.unique(self.impressions.request))
        return float((self.purchases.request >= 0).sum() / max(lists, 1))

    @property
    def margin_per_visit_cents(self) -> float:
        """Margin of everything bought, cents per visit."""
        return float(self.purchases.margin_cents.sum() / max(len(self.visits.day), 1))

    @property
    def list_purchase_share(self) -> float:
        """Purchases after a click in a list, share of purchases, 0 to 1."""
        return _mean(self.purchases.request >= 0)

    def repeat_share(self, window_days: int = 28) -> float:
        """Products bought in the last days that the same shopper had bought before, share, 0 to 1.

        A product counts once a shopper; shoppers without an earlier purchase are left out.
        """
        bought, n = self.purchases, len(self.products)
        is_late = bought.day >= self.days - window_days
        before = bought.shopper[~is_late] * n + bought.item[~is_late]
        late = is_late & np.isin(bought.shopper, bought.shopper[~is_late])
        return _mean(np.isin(np.unique(bought.shopper[late] * n + bought.item[late]), before))

    def per_day(self) -> dict[str, np.ndarray]:
        """Counts of each day: visits, orders, lists, impressions, clicks, purchases, list_purchases."""
        shown, bought = self.impressions, self.purchases
        first = np.unique(shown.request, return_index=True)[1]
        rows = {
            "visits": self.visits.day,
            "orders": self.visits.day[self.visits.is_order],
            "lists": shown.day[first],
            "impressions": shown.day,
            "clicks": shown.day[shown.is_clicked],
            "purchases": bought.day,
            "list_purchases": bought.day[bought.request >= 0],
        }
        return {name: np.bincount(day, minlength=self.days) for name, day in rows.items()}

    def per_product(self) -> dict[str, np.ndarray]:
        """Counts of each product: impressions, clicks, purchases."""
        shown, n = self.impressions, len(self.products)
        rows = {"impressions": shown.item, "clicks": shown.item[shown.is_clicked], "purchases": self.purchases.item}
        return {name: np.bincount(item, minlength=n) for name, item in rows.items()}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0


def gini(counts: np.ndarray) -> float:
    """Gini coefficient of counts: 0 all equal, towards 1 all in one place."""
    ordered = np.sort(counts)
    n, total = len(ordered), ordered.sum()
    return float(2 * (np.arange(1, n + 1) * ordered).sum() / (n * total) - (n + 1) / n) if total else 0.0


def top_share(counts: np.ndarray, share: float) -> float:
    """What the most frequent products have of the total (at least one product), 0 to 1."""
    top = max(1, round(len(counts) * share))
    return float(np.sort(counts)[::-1][:top].sum() / max(counts.sum(), 1))
