"""What the measured effect of tasks suggests to change in `[tasks]` of policy.toml; a person proposes it, or not."""

from dataclasses import dataclass
from math import sqrt
from typing import Any, Literal, get_args

from patron.answers.customers.task_effects import MARGIN, UNKNOWN, TaskEffects, TaskPart, task_effects
from patron.answers.insight.experiment_line import ALARM_LEVEL
from patron.govern.access.operations import operation
from patron.schema.access.access_rights import Action, Area, Right
from patron.schema.errors import NotFound
from patron.schema.sentences import Sentence
from patron.storage.customers.task_policy import TaskPolicy
from patron.storage.shop import Shop

NO_TASK_SUGGESTION = Sentence("no_task_suggestion", "there is no suggestion {name!r}")
IT_SUGGESTS = Sentence("it_suggests", "Suggestions are {names}.")

Code = Literal["smaller_holdout", "larger_holdout", "usual_playbook", "playbooks"]
CODES: tuple[Code, ...] = get_args(Code)
SMALL_SHARE, LARGE_SHARE = 0.05, 0.20
"""Shares to hold out where the effect is known, and where it is not."""
MIN_DRAWS = 200
"""Draws before which nothing is said about the share: the first weeks are always unclear."""


@dataclass(frozen=True)
class TaskSuggestion:
    """One value of `[tasks]` to change, and the measurement that speaks for it."""

    code: Code
    key: str
    """Key in `[tasks]`."""
    old: Any
    new: Any
    parts: tuple[TaskPart, ...]
    """Parts whose measured effect speaks for it."""
    detectable_cents: float | None = None
    new_detectable_cents: float | None = None
    """Smallest margin per customer that is detected with 80 %, at the old share and at the new one."""


@dataclass(frozen=True)
class TaskAdvice:
    """What tasks changed, and what that suggests to change."""

    effects: TaskEffects
    policy_version: str
    """Policy that the suggestions are about."""
    suggestions: tuple[TaskSuggestion, ...]


@operation(Right(Action.READ, Area.EXPERIMENTS), "GET /api/tasks/effect")
def task_advice(shop: Shop) -> TaskAdvice:
    """What tasks changed: customers with a task against those held out by lot, and what that suggests."""
    shop.reload_settings()
    effects = task_effects(shop)
    return TaskAdvice(effects, shop.policy.version, task_suggestions(effects, shop.policy.tasks))


def task_suggestions(effects: TaskEffects, policy: TaskPolicy) -> tuple[TaskSuggestion, ...]:
    """What to change; nothing while nothing is measured or the draw is not sound. Effects are of the margin."""
    if effects.whole is None or (effects.sample_ratio_p_value or 0.0) < ALARM_LEVEL:
        return ()
    suggestions = (_share(effects.whole, policy), _usual(effects, policy), _by_reason(effects, policy))
    return tuple(suggestion for suggestion in suggestions if suggestion is not None)


def find_suggestion(shop: Shop, code: str) -> TaskSuggestion:
    """What the effect suggests under a code. Raises NoRunYet, NotFound."""
    suggestions = task_advice(shop).suggestions
    chosen = next((suggestion for suggestion in suggestions if suggestion.code == code), None)
    if chosen is None:
        known = ", ".join(suggestion.code for suggestion in suggestions) or "nothing"
        raise NotFound(NO_TASK_SUGGESTION(name=code[:40]), where="code", todo=IT_SUGGESTS(names=known))
    return chosen


def _share(whole: TaskPart, policy: TaskPolicy) -> TaskSuggestion | None:
    margin, old = whole.of(MARGIN), policy.holdout_share
    draws = whole.treated_count + whole.control_count
    if margin.effect is None or margin.detectable is None or draws < MIN_DRAWS or not old:
        return None
    if (margin.is_gain or margin.is_loss) and old > SMALL_SHARE:
        code, new = CODES[0], SMALL_SHARE
    elif not margin.is_gain and not margin.is_loss and old < LARGE_SHARE:
        code, new = CODES[1], min(LARGE_SHARE, round(2 * old, 2))
    else:
        return None
    reach = sqrt((1 / new + 1 / (1 - new)) / (1 / old + 1 / (1 - old)))
    return TaskSuggestion(
        code,
        "holdout_share",
        old=old,
        new=new,
        parts=(whole,),
        detectable_cents=margin.detectable,
        new_detectable_cents=margin.detectable * reach,
    )


def _usual(effects: TaskEffects, policy: TaskPolicy) -> TaskSuggestion | None:
    """Another usual task where today's is not shown to pay, and another one is."""
    by_playbook = {playbook.playbook: playbook for playbook in effects.playbooks}
    usual = by_playbook.get(policy.usual_playbook)
    best = _best(list(effects.playbooks))
    if best is None or best.playbook == policy.usual_playbook or (usual is not None and usual.of(MARGIN).is_gain):
        return None
    parts = (best,) if usual is None else (best, usual)
    return TaskSuggestion("usual_playbook", "usual_playbook", old=policy.usual_playbook, new=best.playbook, parts=parts)


def _by_reason(effects: TaskEffects, policy: TaskPolicy) -> TaskSuggestion | None:
    """For each reason the task that is shown to pay; one that is shown to lose goes."""
    new, evidence = dict[str, str](policy.playbooks), list[TaskPart]()
    by_reason: dict[str, list[TaskPart]] = {}
    for part in effects.playbooks_of_reasons:
        if part.reason != UNKNOWN:
            by_reason.setdefault(part.reason, []).append(part)
    for reason, parts in sorted(by_reason.items()):
        best = _best(parts)
        lost = next((one for one in parts if one.playbook == new.get(reason) and one.of(MARGIN).is_loss), None)
        if best is not None and best.playbook != policy.playbook_of(reason):
            new[reason] = best.playbook
            evidence.append(best)
        elif lost is not None:
            del new[reason]
            evidence.append(lost)
    return (
        TaskSuggestion("playbooks", "playbooks", old=policy.playbooks, new=new, parts=tuple(evidence))
        if evidence
        else None
    )


def _best(parts: list[TaskPart]) -> TaskPart | None:
    """The part with the largest effect among those that are above 0 beyond chance."""
    gains = [part for part in parts if part.of(MARGIN).is_gain]
    return max(gains, key=lambda one: one.of(MARGIN).effect or 0.0, default=None)
