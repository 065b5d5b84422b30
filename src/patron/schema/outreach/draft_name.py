"""Name of a campaign or a journey, as whoever asks for one gives it."""

from typing import Annotated

from pydantic import Field

DraftName = Annotated[str, Field(max_length=100, description="Name of the campaign or journey.")]
