"""Tasks of staff, and how their effect is measured: the section [tasks] of policy.toml."""

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from patron.schema.models.reason_codes import REASON_CODES
from patron.schema.sentences import Sentence

PLAYBOOK_REASONS = Sentence("playbook_reasons", "are by reason: {names} (got {values})")

Playbook = Literal["call", "write", "apologise", "offer", "check", "other"]
PLAYBOOKS: tuple[Playbook, ...] = get_args(Playbook)
"""What a task says to do."""


class TaskPolicy(BaseModel):
    """Tasks that are created for several customers at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    holdout_share: float = Field(default=0.10, ge=0, le=0.5)
    """Share of these customers who get no task, drawn by lot, so that effects can be measured; 0: nothing is."""
    window_days: int = Field(default=60, ge=7, le=365)
    """Days after a task in which its effect is counted; until they are over, a customer is not drawn again."""
    task_cost_cents: int = Field(default=0, ge=0, le=1_000_000)
    """What a task costs that was done, cents: mostly time."""
    usual_playbook: Playbook = "call"
    """What to do for customers whose reason for leaving is not in `playbooks`."""
    playbooks: dict[str, Playbook] = {}
    """What to do by the strongest reason for leaving, where a bulk action chooses by reason."""

    @field_validator("playbooks")
    @classmethod
    def _are_reasons(cls, playbooks: dict[str, Playbook]) -> dict[str, Playbook]:
        known = {code.code for code in REASON_CODES}
        if unknown := sorted(playbooks.keys() - known):
            raise ValueError(PLAYBOOK_REASONS(names=", ".join(sorted(known)), values=", ".join(unknown)))
        return playbooks

    def playbook_of(self, reason: str) -> Playbook:
        """What to do for a customer with this reason for leaving; '' for none."""
        return self.playbooks.get(reason, self.usual_playbook)
