"""Settings of the section [oidc]: single sign-on at an OpenID Connect issuer."""

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from patron.schema.access.access_rights import Role
from patron.schema.sentences import Sentence
from patron.storage.setting_path import SettingPath

ISSUER_ADDRESS = Sentence(
    "issuer_address", "is not an https address such as https://login.example.com, or http on this machine"
)
NEEDS_DOMAINS = Sentence("needs_domains", "needs domains, such as example.com")
NEEDS_OPENID = Sentence("needs_openid", "needs openid among them")
NEEDS_CLIENT_ID = Sentence("needs_client_id", "needs client_id")
ROLE_CLAIM_AND_ROLES = Sentence("role_claim_and_roles", "needs role_claim and roles, or neither")
CREATE_NEEDS_DOMAINS = Sentence(
    "create_needs_domains",
    'unknown_users = "create" needs mail_domains or role_claim: some issuers let anybody sign in',
)

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class OidcSettings(BaseModel):
    """Single sign-on; it is on once it has an issuer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = ""
    """Address of the issuer, exactly as it names itself: https, or http on this machine. Empty: no single sign-on."""
    client_id: str = ""
    """Name of this console at the issuer."""
    client_secret_file: SettingPath = ""
    """File with its secret, within the workspace or absolute; else the variable PATRON_OIDC_CLIENT_SECRET has it."""
    name: str = Field(default="", max_length=40)
    """What people call the issuer, on buttons; empty: its host."""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    """What is requested; some issuers need one more for groups."""
    unknown_users: Literal["refuse", "create"] = "refuse"
    """Whether somebody unknown here is refused, or becomes a user, which needs mail_domains or role_claim."""
    new_user_role: Role = Role.VIEWER
    """Role of users who are made so."""
    mail_domains: tuple[str, ...] = ()
    """Domains of verified e-mail addresses that may sign in by it; empty: all."""
    trusts_email: bool = False
    """Whether addresses count as verified of which the issuer does not say so."""
    role_claim: str = ""
    """Claim that lists groups or roles, such as groups; empty: roles are set in Patron."""
    roles: dict[str, Role] = {}
    """Role of each value of that claim; they replace a user's roles with each sign-in."""
    is_second_factor: bool = False
    """Whether the issuer asks everybody for a second factor; else a sign-in counts as two if it says so (amr mfa)."""
    is_only_way: bool = True
    """Whether whoever has an account there signs in by nothing else: neither by password nor by passkey."""

    @property
    def is_configured(self) -> bool:
        """Whether people can sign in by it."""
        return bool(self.issuer)

    @property
    def label(self) -> str:
        """What buttons call the issuer."""
        return self.name or (urlsplit(self.issuer).hostname or "")

    @field_validator("issuer")
    @classmethod
    def _is_an_issuer(cls, value: str) -> str:
        if value and (not is_safe_address(value) or urlsplit(value).query):
            raise ValueError(ISSUER_ADDRESS)
        return value

    @field_validator("mail_domains")
    @classmethod
    def _in_lower_case(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("@" in one or "." not in one for one in value):
            raise ValueError(NEEDS_DOMAINS)
        return tuple(one.strip().lower() for one in value)

    @field_validator("scopes")
    @classmethod
    def _with_openid(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value:
            raise ValueError(NEEDS_OPENID)
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.issuer and not self.client_id:
            raise ValueError(NEEDS_CLIENT_ID)
        if bool(self.role_claim) != bool(self.roles):
            raise ValueError(ROLE_CLAIM_AND_ROLES)
        if self.unknown_users == "create" and not (self.mail_domains or self.role_claim):
            raise ValueError(CREATE_NEEDS_DOMAINS)
        return self


def is_safe_address(value: object) -> bool:
    """Whether secrets may travel there: by https, or to this machine."""
    if not isinstance(value, str) or not value.isprintable():
        return False
    parts = urlsplit(value)
    is_local = parts.scheme == "http" and parts.hostname in LOOPBACK
    return (parts.scheme == "https" or is_local) and bool(parts.hostname) and not (parts.fragment or parts.username)
