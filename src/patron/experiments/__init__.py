"""Experiments on anybody's customers: planned, assigned, watched and analysed; and policies judged from logs.

It needs no workspace: arrays and frames come in, frozen results go out.
"""

from patron.experiments.analysis import Analysis, EffectRow, analyse
from patron.experiments.assignment import Layer, assign
from patron.experiments.bootstrap_effects import BootstrapEffects, BootstrapRow, bootstrap_effects
from patron.experiments.confidence_sequences import ConfidenceSequence, LookRow, confidence_sequence
from patron.experiments.guard_rails import GuardRail, GuardRailRow, guard_rail
from patron.experiments.off_policy_value import EstimatorRow, OffPolicyValue, off_policy
from patron.experiments.sample_ratio import SampleRatio, sample_ratio_mismatch
from patron.experiments.sample_sizes import cuped_saving, detectable_effect, duration, sample_size
from patron.experiments.segment_effects import SegmentEffects, SegmentRow, heterogeneous
from patron.experiments.surrogate_index import FittedSurrogateIndex, LongTermEffects, LongTermRow, SurrogateIndex
from patron.experiments.team_draft import InterleavedList, Preference, preference, team_draft
from patron.experiments.thompson import Choices, Thompson

__all__ = [
    "Analysis",
    "BootstrapEffects",
    "BootstrapRow",
    "Choices",
    "ConfidenceSequence",
    "EffectRow",
    "EstimatorRow",
    "FittedSurrogateIndex",
    "GuardRail",
    "GuardRailRow",
    "InterleavedList",
    "Layer",
    "LongTermEffects",
    "LongTermRow",
    "LookRow",
    "OffPolicyValue",
    "Preference",
    "SampleRatio",
    "SegmentEffects",
    "SegmentRow",
    "SurrogateIndex",
    "Thompson",
    "analyse",
    "assign",
    "bootstrap_effects",
    "confidence_sequence",
    "cuped_saving",
    "detectable_effect",
    "duration",
    "guard_rail",
    "heterogeneous",
    "off_policy",
    "preference",
    "sample_ratio_mismatch",
    "sample_size",
    "team_draft",
]
