"""A policy as people read it, and what is known of another one before it is switched on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from patron.interfaces.cli import output
from patron.interfaces.cli.outreach.render_campaigns import show_awaiting
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.policy_texts import policy_sentences
from patron.interfaces.i18n.translations import Words, words

if TYPE_CHECKING:
    from patron.commands.offers.check_policy import CheckedPolicy
    from patron.commands.offers.logged_policy_value import LoggedValue, ValuePerDecision
    from patron.commands.offers.try_policy import PolicyTrial
    from patron.storage.offers.policy import Policy
    from patron.storage.settings import ShopSettings


def show_policy(policy: "Policy", shop: "ShopSettings", locale: str | None, *, json: bool) -> None:
    """Show a policy in sentences; with --json as it is, and its version."""
    if json:
        output.as_json({"version": policy.version, "policy": policy.model_dump(mode="json")})
        return
    texts, formats = _language(shop, locale)
    for sentence in policy_sentences(policy, texts, formats):
        output.say(sentence)


def show_check(checked: "CheckedPolicy", shop: "ShopSettings", locale: str | None, *, json: bool) -> None:
    """Show that a policy file is valid, and what it changes."""
    if json:
        fields = {name: getattr(checked, name) for name in ("notice", "changed_sections", "losing_offers", "awaiting")}
        output.as_json({"version": checked.policy.version} | fields)
        return
    texts, _ = _language(shop, locale)
    output.say(texts("policy.valid", version=checked.policy.version))
    if checked.notice:
        output.say(checked.notice)
    changed = ", ".join(f"[{name}]" for name in checked.changed_sections)
    output.say(texts("policy.changes", sections=changed) if changed else texts("policy.same"))
    for offer in checked.losing_offers:
        output.say(texts("policy.losing_offer", offer=offer))
    show_awaiting(checked.awaiting, "The policy is not the approved one")


def show_trial(trial: "PolicyTrial", shop: "ShopSettings", locale: str | None, *, json: bool) -> None:
    """Show what is known of a policy before it is switched on."""
    if json:
        versions = {"candidate": trial.candidate.version, "today": trial.today.version}
        output.as_json({"versions": versions, "logged": trial.logged, "dry_runs": trial.dry_runs})
        return
    texts, formats = _language(shop, locale)
    output.say(texts("policy.logged_title"), style="bold")
    for sentence in logged_sentences(trial.logged, texts, formats):
        output.say(sentence)
    output.say()
    runs = trial.dry_runs
    output.say(texts("policy.dry_title"), style="bold")
    count = formats.count(runs.customer_count)
    output.say(texts("policy.dry_basis", months=runs.months, count=count, seed=runs.seed, days=runs.followed_days))
    for name, one in (("candidate", runs.candidate), ("today", runs.today)):
        values = {"gain": formats.money(one.gain_cents), "spent": formats.money(one.spent_cents)}
        offers = formats.count(one.offer_count)
        output.say(texts("policy.dry_value", policy=texts(f"policy.{name}"), offers=offers, **values))


def logged_sentences(logged: "LoggedValue", texts: Words, formats: Formats) -> Iterator[str]:
    """What the log says of two policies, and how far it can be trusted."""
    if logged.candidate is not None and logged.today is not None:
        count = formats.count(logged.decision_count)
        yield texts("policy.logged_basis", count=count, runs=logged.run_count)
        yield _value_sentence("candidate", logged.candidate, texts, formats)
        yield _value_sentence("today", logged.today, texts, formats)
        yield texts("policy.logged_size", size=formats.count(logged.candidate.effective_sample_size))
        gain = logged.candidate.gain
        ends = {"low": formats.money(gain.low), "high": formats.money(gain.high)}
        yield texts("policy.logged_gain", gain=formats.money(gain.value), **ends)
        if gain.low <= 0 <= gain.high:
            yield texts("policy.logged_overlap")
    if logged.why_not:
        yield texts(f"policy.why_{logged.why_not}")
    if logged.unsupported_share:
        yield texts("policy.unsupported", share=formats.share(logged.unsupported_share))
    is_usable = logged.why_not not in ("nothing_logged", "not_delivered")  # why: those two are about all offers
    if logged.never_tried and is_usable:
        yield texts("policy.never_tried", offers=texts("list.joint").join(logged.never_tried))


def _value_sentence(name: str, one: "ValuePerDecision", texts: Words, formats: Formats) -> str:
    return texts(
        "policy.logged_value",
        policy=texts(f"policy.{name}"),
        value=formats.money(one.value_cents),
        low=formats.money(one.low),
        high=formats.money(one.high),
        share=formats.share(one.offer_share),
    )


def _language(shop: "ShopSettings", locale: str | None) -> tuple[Words, Formats]:
    chosen = locale or shop.locale
    return words(chosen), Formats(chosen, shop.currency, shop.time_zone)
