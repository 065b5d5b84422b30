"""What a run shows about groups of customers, in the reader's language."""

from collections.abc import Iterator

from patron.answers.models.fairness import FairnessResults, GroupResult
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.models.group_metrics import CALIBRATION_GAP, SELECTION_RATE, TRUE_POSITIVE_RATE
from patron.schema.models.questions import CHURN
from patron.schema.tables import NO_MITIGATION


def fairness_sentences(compared: FairnessResults | None, words: Words, formats: Formats) -> Iterator[str]:
    """Findings, what they led to, and what mitigation costs; nothing where all groups are treated alike."""
    if compared is None:
        return
    for row in compared.findings:
        yield finding_sentence(compared, row, words, formats)
    for decision in compared.refused_decisions:
        yield words(f"fairness.refused_{decision}")
    if compared.findings and not compared.is_refused:
        yield words("fairness.check")
    if compared.is_pinned:
        yield words("fairness.pinned")
    yield from mitigation_sentences(compared, words, formats)


def finding_sentence(compared: FairnessResults, row: GroupResult, words: Words, formats: Formats) -> str:
    """One finding: the group's number next to the others'."""
    values = {"group": group_name(row.trait, row.group_name, words)}
    if row.metric == CALIBRATION_GAP:
        shares = {"value": signed_share(row.value, formats), "others": signed_share(row.others_value, formats)}
        return words("fairness.calibration", **values, **shares)
    rates = compared.table(row.decision, row.mitigation, row.trait)[row.group_name]
    rate = rates[TRUE_POSITIVE_RATE if row.metric == TRUE_POSITIVE_RATE else SELECTION_RATE]
    shares = {"value": formats.share(rate.value, 0), "others": formats.share(rate.others_value, 0)}
    key = "fairness.forecast_leaving" if row.metric == TRUE_POSITIVE_RATE else "fairness.offered"
    return words(key, **values, **shares)


def mitigation_sentences(compared: FairnessResults, words: Words, formats: Formats) -> Iterator[str]:
    """Thresholds by group, whether their effect is known, and, unless offers are refused, their price."""
    mitigation = compared.mitigation
    if mitigation is None:
        return
    thresholds = (
        words(
            "fairness.threshold",
            group=group_name(mitigation.trait, threshold.group_name, words),
            value=formats.share(threshold.probability, 0),
        )
        for threshold in mitigation.thresholds
    )
    yield words("fairness.thresholds", list=words("list.joint").join(thresholds))
    if not compared.is_mitigation_measured:
        yield words("fairness.unmeasured", days=formats.count(CHURN.horizon_days))
    for group in compared.unmeasurable_groups:
        yield words("fairness.too_few_left", group=group_name(mitigation.trait, group, words))
    if compared.is_refused:
        return
    if mitigation.gain_change_cents is None:
        yield words("fairness.free")
        return
    counts = {"added": formats.count(mitigation.added_count), "removed": formats.count(mitigation.removed_count)}
    key = "fairness.price" if mitigation.gain_change_cents < 0 else "fairness.gain"
    yield words(key, **counts, money=formats.money(abs(mitigation.gain_change_cents)))


def notes(compared: FairnessResults, words: Words, formats: Formats) -> Iterator[str]:
    """Customers of groups that cannot be compared, and traits that nobody has declared yet."""
    for decision, trait, count in compared.left_out:
        what = words.code("fairness", f"{decision}_{NO_MITIGATION}")
        yield words("fairness.left_out", trait=words.code("trait", trait), what=what, count=formats.count(count))
    for trait in compared.unknown_traits:
        yield words("fairness.unknown", trait=words.code("trait", trait))


def group_name(trait: str, group: str, words: Words) -> str:
    """A group by its trait and value."""
    return words("fairness.group", trait=words.code("trait", trait), value=words.level(f"declared_{trait}", group))


def signed_share(value: float, formats: Formats) -> str:
    """A difference of shares, with its sign."""
    return f"{'+' if value > 0 else ''}{formats.share(value, 1)}"
