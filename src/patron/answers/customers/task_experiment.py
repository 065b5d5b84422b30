"""Tasks of staff among the experiments: one line, for all of them."""

from typing import Final

from patron.answers.customers.task_effects import MARGIN, TaskEffects
from patron.answers.insight.experiment_line import Experiment, verdict_of
from patron.answers.insight.experiment_results import Gain

TASK_EXPERIMENT: Final = "tasks"


def task_lines(effects: TaskEffects) -> list[Experiment]:
    """Tasks of staff against who was held out; nothing before anybody was drawn."""
    whole, running = effects.whole, effects.running
    if whole is None and not running.treated_count + running.control_count:
        return []
    margin = whole.of(MARGIN) if whole else None
    gain, raw = _task_gains(effects)
    p_value = effects.sample_ratio_p_value
    return [
        Experiment(
            kind=TASK_EXPERIMENT,
            name=TASK_EXPERIMENT,
            state="running",
            verdict="running" if gain is None else verdict_of(gain, p_value, is_final=False),
            started_at=effects.assigned_from,
            until=effects.measured_until,
            treated_count=whole.treated_count if whole else running.treated_count,
            control_count=whole.control_count if whole else running.control_count,
            gain=gain,
            raw=raw,
            is_final=False,
            baseline_cents=margin.control_mean if margin else None,
            detectable_cents=margin.detectable if margin else None,
            sample_ratio_p_value=p_value,
            guard_rails=(),
        )
    ]


def _task_gains(effects: TaskEffects) -> tuple[Gain | None, Gain | None]:
    """The margin that tasks brought, adjusted and raw; NULL without enough customers."""
    if effects.whole is None:
        return None, None
    one, treated = effects.whole.of(MARGIN), effects.whole.treated_count
    if one.effect is None or one.low is None or one.high is None or one.standard_error is None:
        return None, None
    shift = (one.raw_effect if one.raw_effect is not None else one.effect) - one.effect
    ends = (one.effect, one.low, one.high)
    return (
        Gain.of(*ends, error=one.standard_error, treated=treated),
        Gain.of(*(end + shift for end in ends), error=one.standard_error, treated=treated),
    )
