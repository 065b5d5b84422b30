"""What every campaign keeps to: the section [campaigns] of policy.toml."""

from pydantic import BaseModel, ConfigDict, Field


class CampaignPolicy(BaseModel):
    """Approval of campaigns, and what is assumed of their messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    approval_free_below: float = Field(default=0.0, ge=0, le=1e12, allow_inf_nan=False)
    """Authors may approve their own campaign where its budget is below this, in the shop's currency; 0: never."""
    message_uplift: float = Field(default=0.01, ge=0, le=1)
    """Assumed until measured: added probability of an order by a message without an offer."""
