"""Where the server may listen, and what must be in place before anybody but this machine reaches it."""

from dataclasses import dataclass
from pathlib import Path

from patron.answers.access.team import people
from patron.schema.common_sentences import USE_NAMES
from patron.schema.errors import SettingsError
from patron.schema.sentences import Sentence
from patron.storage.shop import SETTINGS_FILE, Shop

SET_UP_FIRST = Sentence(
    "set_up_first", "Start on 127.0.0.1, open the set-up link and create an account. Then listen elsewhere."
)
SET_PUBLIC_URL = Sentence(
    "set_public_url", 'Set public_url = "https://..." in [access] of patron.toml: other names are refused. {docs}'
)
CERTIFICATE_OR_PROXY = Sentence(
    "certificate_or_proxy",
    "Pass --certificate and --certificate-key, or put a proxy with TLS in front and name its address in proxies of "
    "[collect]. {docs}",
)
LEAVE_DEMO_OUT = Sentence("leave_demo_out", "Leave --demo out; for simulated customers set is_demo = true in {path}.")
DEMO_ONLY_HERE = Sentence("demo_only_here", "a demo answers without a sign-in, and only on this machine")
NOT_A_DEMO = Sentence("not_a_demo", "this workspace is not a demo's: its customers may be real")
NO_USER_YET = Sentence("no_user_yet", "nobody could sign in: there is no user yet")
CONSOLE_NAME_UNKNOWN = Sentence("console_name_unknown", "the host name of the console is not known")
WITHOUT_TLS = Sentence("without_tls", "passwords would travel without TLS")
CERTIFICATE_NEEDS_KEY = Sentence("certificate_needs_key", "a certificate needs its key")
PASS_CERTIFICATE = Sentence("pass_certificate", "Pass --certificate and --certificate-key.")
NOT_A_FILE = Sentence("not_a_file", "is not a file")
PASS_PEM = Sentence("pass_pem", "Pass a file in PEM format.")

LOOPBACK = "127.0.0.1"
DOCS = "See docs/how-to/serve-your-team.md."


@dataclass(frozen=True)
class Certificate:
    """Files by which the server itself speaks HTTPS."""

    chain: Path
    """Certificate and those that signed it, PEM."""
    key: Path

    @classmethod
    def of(cls, chain: Path | None, key: Path | None) -> "Certificate | None":
        """The files, or None without them. Raises SettingsError for one of two, or what cannot be read."""
        if chain is None and key is None:
            return None
        if chain is None or key is None:
            raise SettingsError(CERTIFICATE_NEEDS_KEY, where="--certificate", todo=PASS_CERTIFICATE)
        for path in (chain, key):
            if not path.is_file():
                raise SettingsError(NOT_A_FILE, where=str(path), todo=PASS_PEM)
        return cls(chain, key)


def require_place(shop: Shop, host: str, certificate: Certificate | None, *, is_demo: bool) -> None:
    """Refuse to listen where people could be reached without a sign-in or without TLS. Raises SettingsError.

    A demo is for a workspace whose customers are nobody, and for this machine.
    """
    if is_demo:
        _require_demo(shop, host)
    elif host != LOOPBACK:
        _require_team(shop, host, certificate)


def _require_demo(shop: Shop, host: str) -> None:
    if host != LOOPBACK:
        raise SettingsError(DEMO_ONLY_HERE, where="--host", todo=USE_NAMES(names=LOOPBACK))
    if not shop.settings.shop.is_demo:
        todo = LEAVE_DEMO_OUT(path=shop.folder / SETTINGS_FILE)
        raise SettingsError(NOT_A_DEMO, where="--demo", todo=todo)


def _require_team(shop: Shop, host: str, certificate: Certificate | None) -> None:
    where = f"--host {host}"
    if not any(user.state == "active" for user in people(shop)):
        raise SettingsError(NO_USER_YET, where=where, todo=SET_UP_FIRST)
    if not shop.settings.access.public_url:
        raise SettingsError(CONSOLE_NAME_UNKNOWN, where=where, todo=SET_PUBLIC_URL(docs=DOCS))
    if certificate is None and not shop.settings.collect.proxies:
        raise SettingsError(WITHOUT_TLS, where=where, todo=CERTIFICATE_OR_PROXY(docs=DOCS))
