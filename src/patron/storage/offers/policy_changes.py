"""What differs between two policies, value by value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from patron.storage.offers.policy import Policy


@dataclass(frozen=True)
class PolicyChange:
    """One value that differs."""

    section: str
    offer: str
    """Id of the offer of the section `offers`; empty in any other section."""
    key: str
    """Key within the section or the offer; empty where a whole offer was added or removed."""
    old: Any
    """None for an offer that was not there."""
    new: Any
    """None for an offer that is gone."""


def policy_changes(old: Policy, new: Policy) -> tuple[PolicyChange, ...]:
    """Every value that differs, in the order of the policy's sections; offers one by one."""
    was, becomes = old.model_dump(mode="json"), new.model_dump(mode="json")
    return tuple(change for section in becomes for change in _section(section, was[section], becomes[section]))


def _section(section: str, was: Any, becomes: Any) -> Iterator[PolicyChange]:
    if section == "offers":
        yield from _offers({one["id"]: one for one in was}, {become["id"]: become for become in becomes})
        return
    for key in dict.fromkeys((*was, *becomes)):
        if was.get(key) != becomes.get(key):
            yield PolicyChange(section, "", key=key, old=was.get(key), new=becomes.get(key))


def _offers(was: Mapping[str, Any], becomes: Mapping[str, Any]) -> Iterator[PolicyChange]:
    for offer in dict.fromkeys((*was, *becomes)):
        old, new = was.get(offer), becomes.get(offer)
        if old is None or new is None:
            yield PolicyChange("offers", offer, key="", old=old, new=new)
            continue
        for key in new:
            if old[key] != new[key]:
                yield PolicyChange("offers", offer, key=key, old=old[key], new=new[key])
