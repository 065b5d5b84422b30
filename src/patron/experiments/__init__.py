"""Experiments on anybody's decisions: what a policy would have earned, judged from the log of another one.

It needs no workspace: arrays come in, frozen results go out.
"""

from patron.experiments.off_policy_value import EstimatorRow, OffPolicyValue, off_policy

__all__ = ["EstimatorRow", "OffPolicyValue", "off_policy"]
