"""Which offers help against which reason for leaving: offer_rules.toml, what experts assume until it is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from patron.schema.errors import SettingsError
from patron.schema.sentences import Sentence, joined
from patron.schema.spelling import did_you_mean, hinted, known_are
from patron.storage.offers.offer_policy import REASON_NAMES, Offer, OfferKind
from patron.storage.settings import TODO, read_toml

NOT_A_REASON = Sentence("not_a_reason", "[{name}] is not a reason for leaving")
FACTORS_SECTION = Sentence("factors_section", "{name} must be a section of factors, such as call = 1.5")
NOT_AN_OFFER = Sentence("not_an_offer", "{name} is neither a kind nor the id of an offer")
FACTOR_NUMBER = Sentence("factor_number", "{name} must be a number from 0 to {most:g} (got {value})")

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
            raise SettingsError(joined(problems), where=str(path), todo=TODO)
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
        return [hinted(NOT_A_REASON(name=reason), did_you_mean(reason, REASON_NAMES) or known_are(REASON_NAMES))]
    if not isinstance(section, Mapping):
        return [FACTORS_SECTION(name=reason)]
    problems = []
    for name, factor in section.items():
        is_number = isinstance(factor, int | float) and not isinstance(factor, bool)
        if name not in known:
            meant = did_you_mean(name, known) or known_are(sorted(known))
            problems.append(hinted(NOT_AN_OFFER(name=f"{reason}.{name}"), meant))
        elif not is_number or not 0 <= factor <= MAX_FACTOR:
            problems.append(FACTOR_NUMBER(name=f"{reason}.{name}", most=MAX_FACTOR, value=repr(factor)))
    return problems
