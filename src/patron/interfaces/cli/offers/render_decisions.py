"""Decisions in a terminal."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from patron.interfaces.cli import output
from patron.interfaces.i18n.decision_texts import decision_sentences, delivery_sentence
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import words

if TYPE_CHECKING:
    from patron.answers.offers.decision_ledger import DecisionDetail, DecisionPage, DecisionRow
    from patron.storage.settings import ShopSettings

LIST = ("decision", "customer", "action", "reason", "net value", "effect", "cost", "probability")
ALTERNATIVES = ("offer", "net value", "effect", "cost", "probability", "forbidden by")


def show_decisions(page: "DecisionPage", shop: "ShopSettings", *, json: bool) -> None:
    """Counts by reason, then one page of decisions."""
    if json:
        output.as_json(page)
        return
    if page.delivery:
        texts = words("en")
        output.say(
            delivery_sentence(page.delivery, texts, Formats("en", shop.currency, shop.time_zone)), style="yellow"
        )
    show_reasons(page)
    show_rows(f"Page {page.page} of {page.page_count}", page.rows, shop.currency)


def show_reasons(page: "DecisionPage") -> None:
    """How many customers each reason applies to."""
    counted = [
        (reason.reason, "offer" if reason.is_offer else "none", f"{reason.customer_count:,}") for reason in page.reasons
    ]
    output.grid(f"Decisions of the run {page.run_id}", ("reason", "action", "customers"), counted)


def show_rows(title: str, decisions: "Iterable[DecisionRow]", currency: str) -> None:
    """Decisions, one a line."""
    rows = [
        (
            row.decision_id,
            row.customer_id,
            row.action,
            row.reason,
            *(
                f"{round(cents) / 100:,.2f}"
                for cents in (row.expected_net_value_cents, row.effect_cents, row.cost_cents)
            ),
            f"{row.propensity:.1%}",
        )
        for row in decisions
    ]
    output.grid(f"{title} (amounts in {currency})", LIST, rows)


def show_decision(decision: "DecisionDetail", shop: "ShopSettings", names: Mapping[str, str], *, json: bool) -> None:
    """One decision with its alternatives."""
    if json:
        output.as_json(decision)
        return
    texts = words("en")
    formats = Formats("en", shop.currency, shop.time_zone)
    output.say(f"Decision {decision.decision_id} of the run {decision.run_id}, customer {decision.customer_id}.")
    for sentence in decision_sentences(decision, names, texts, formats):
        output.say(sentence)
    rows = [
        (
            texts.offer(alternative.action, names),
            *(
                formats.money(cents)
                for cents in (alternative.expected_net_value_cents, alternative.effect_cents, alternative.cost_cents)
            ),
            formats.share(alternative.propensity),
            texts.code("decision", alternative.forbidden_by) if alternative.forbidden_by else "",
        )
        for alternative in decision.alternatives
    ]
    output.grid("Offers that were considered", ALTERNATIVES, rows)
    output.say(
        f"Stratum {decision.stratum}, effects {texts.code('effect_source', decision.effect_source)}, consent:"
        f" {texts.code('consent', decision.consent_basis)}, policy {decision.policy_version}."
    )
