"""Settings of the section [access]: who reaches the console, and how long a session lasts."""

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from patron.schema.sentences import Sentence

ADDRESS_WITHOUT_PATH = Sentence(
    "address_without_path", "is not an address without a path, such as https://crm.example.com"
)

LOCAL = "http://127.0.0.1:8321"
"""Where `patron serve` answers on this machine."""


class AccessSettings(BaseModel):
    """Who reaches the console, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_url: str = ""
    """Address of the console beyond this machine, such as https://crm.example.com; needed for another --host."""
    needs_second_factor: bool = False
    """Whether everybody must set up a second factor before anything else."""
    needs_reveal_reason: bool = True
    """Whether a reason must be given to see names and contacts in clear."""
    idle_hours: float = Field(default=8, gt=0, le=168)
    """Hours without a request after which a session ends."""
    session_days: float = Field(default=7, gt=0, le=90)
    """Days after which a session ends whatever happens."""
    invitation_hours: float = Field(default=72, gt=0, le=720)
    """Hours for which an invitation works."""

    @property
    def console_address(self) -> str:
        """How links to the console begin that no request says: beyond this machine, else on it."""
        return self.public_url or LOCAL

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme != "https" or not parts.hostname or parts.path.strip("/")):
            raise ValueError(ADDRESS_WITHOUT_PATH)
        return value.rstrip("/")
