"""Which offers help against which reason for leaving: offer_rules.toml, what experts assume until it is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from patron.schema.errors import SettingsError
from patron.schema.spelling import did_you_mean
from patron.storage.offers.offer_policy import REASON_NAMES, Offer, OfferKind
from patron.storage.settings import TODO, read_toml

MAX_FACTOR = 10.0


@dataclass(frozen=True)
class OfferRules:
    """Factors on assumed effects."""

    factors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By reason for leaving, and by id or kind of the offer; 0 where the offer is useless."""

    @classmethod
    def load(cls, path: Path, offers: Sequence[Offer]) -> "OfferRules":
        """Read offer_rules.toml; without the file there are no rules. Raises SettingsError naming reason and key."""
        if not path.exists():
            return cls()
        content: dict[str, Any] = read_toml(path)
        known = {*get_args(OfferKind), *(offer.id for offer in offers)}
        problems = [problem for reason, section in content.items() for problem in _problems(reason, section, known)]
        if problems:
            raise SettingsError("; ".join(problems), where=str(path), todo=TODO)
        return cls(content)

    def factor(self, reasons: Sequence[str], offer: Offer) -> float:
        """Factor on an offer's assumed effect for a customer with these reasons, the strongest first.

        The strongest reason that has a rule for the offer counts, and a rule for its id before one for its kind.
        """
        for reason in reasons:
            rules = self.factors.get(reason, {})
            for name in (offer.id, offer.kind):
                if name in rules:
                    return float(rules[name])
        return 1.0


def _problems(reason: str, section: object, known: set[str]) -> list[str]:
    """What is wrong with the rules of one reason, a sentence each."""
    if reason not in REASON_NAMES:
        meant = did_you_mean(reason, REASON_NAMES) or f"Known are {', '.join(REASON_NAMES)}."
        return [f"[{reason}] is not a reason for leaving. {meant}".rstrip(".")]
    if not isinstance(section, Mapping):
        return [f"{reason} must be a section of factors, such as call = 1.5"]
    problems = []
    for name, factor in section.items():
        is_number = isinstance(factor, int | float) and not isinstance(factor, bool)
        if name not in known:
            meant = did_you_mean(name, known) or f"Known are {', '.join(sorted(known))}."
            problems.append(f"{reason}.{name} is neither a kind nor the id of an offer. {meant}".rstrip("."))
        elif not is_number or not 0 <= factor <= MAX_FACTOR:
            problems.append(f"{reason}.{name} must be a number from 0 to {MAX_FACTOR:g} (got {factor!r})")
    return problems
