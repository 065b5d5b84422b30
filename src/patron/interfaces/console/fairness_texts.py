"""What a run shows about groups of customers, in the reader's language."""

from collections.abc import Iterator

from patron.answers.fairness import Fairness, GroupResult
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.group_metrics import CALIBRATION_GAP, SELECTION_RATE, TRUE_POSITIVE_RATE


def fairness_sentences(compared: Fairness | None, words: Words, formats: Formats) -> Iterator[str]:
    """Findings, what they led to, and what mitigation costs; nothing where all groups are treated alike."""
    if compared is None:
        return
    for row in compared.findings:
        yield finding_sentence(compared, row, words, formats)
    if compared.is_refused:
        yield words("fairness.refused")
    elif compared.findings:
        yield words("fairness.check")
    yield from mitigation_sentences(compared, words, formats)


def finding_sentence(compared: Fairness, row: GroupResult, words: Words, formats: Formats) -> str:
    """One finding: the group's number next to the others'."""
    values = {"group": group_name(row.trait, row.group_name, words)}
    if row.metric == CALIBRATION_GAP:
        shares = {"value": signed_share(row.value, formats), "others": signed_share(row.others_value, formats)}
        return words("fairness.calibration", **values, **shares)
    rates = compared.table(row.decision, row.mitigation, row.trait)[row.group_name]
    rate = rates[TRUE_POSITIVE_RATE if row.metric == TRUE_POSITIVE_RATE else SELECTION_RATE]
    shares = {"value": formats.share(rate.value, 0), "others": formats.share(rate.others_value, 0)}
    key = "fairness.recognised" if row.metric == TRUE_POSITIVE_RATE else "fairness.offered"
    return words(key, **values, **shares)


def mitigation_sentences(compared: Fairness, words: Words, formats: Formats) -> Iterator[str]:
    """Thresholds by group, and their price in people and in money."""
    done = compared.mitigation
    if done is None:
        return
    thresholds = (
        words(
            "fairness.threshold",
            group=group_name(done.trait, one.group_name, words),
            value=formats.share(one.probability, 0),
        )
        for one in done.thresholds
    )
    yield words("fairness.thresholds", list=words("list.joint").join(thresholds))
    counts = {"added": formats.count(done.added_count), "removed": formats.count(done.removed_count)}
    if done.gain_change_cents is None:
        yield words("fairness.free")
    else:
        key = "fairness.price" if done.gain_change_cents < 0 else "fairness.gain"
        yield words(key, **counts, money=formats.money(abs(done.gain_change_cents)))


def notes(compared: Fairness, words: Words) -> Iterator[str]:
    """Groups that are too small, and traits that nobody has declared yet."""
    if compared.left_out:
        names = (group_name(trait, group, words) for trait, group in compared.left_out)
        yield words("fairness.left_out", list=words("list.joint").join(names))
    for trait in compared.unknown_traits:
        yield words("fairness.unknown", trait=words.code("trait", trait))


def group_name(trait: str, group: str, words: Words) -> str:
    """A group by its trait and value."""
    return words("fairness.group", trait=words.code("trait", trait), value=words.level(f"declared_{trait}", group))


def signed_share(value: float, formats: Formats) -> str:
    """A difference of shares, with its sign."""
    return f"{'+' if value > 0 else ''}{formats.share(value, 1)}"
