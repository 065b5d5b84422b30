"""Where the server may listen, and what must be in place before anybody but this machine reaches it."""

from dataclasses import dataclass
from pathlib import Path

from patron.answers.access.team import people
from patron.schema.errors import SettingsError
from patron.storage.shop import SETTINGS_FILE, Shop

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
            raise SettingsError(
                "a certificate needs its key", where="--certificate", todo="Pass --certificate and --certificate-key."
            )
        for path in (chain, key):
            if not path.is_file():
                raise SettingsError("is not a file", where=str(path), todo="Pass a file in PEM format.")
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
        raise SettingsError(
            "a demo answers without a sign-in, and only on this machine", where="--host", todo=f"Use {LOOPBACK}."
        )
    if not shop.settings.shop.is_demo:
        todo = f"Leave --demo out; for simulated customers set is_demo = true in {shop.folder / SETTINGS_FILE}."
        raise SettingsError("this workspace is not a demo's: its customers may be real", where="--demo", todo=todo)


def _require_team(shop: Shop, host: str, certificate: Certificate | None) -> None:
    where = f"--host {host}"
    if not any(user.state == "active" for user in people(shop)):
        todo = "Start on 127.0.0.1, open the set-up link and create an account. Then listen elsewhere."
        raise SettingsError("nobody could sign in: there is no user yet", where=where, todo=todo)
    if not shop.settings.access.public_url:
        todo = 'Set public_url = "https://..." in [access] of patron.toml: other names are refused. ' + DOCS
        raise SettingsError("it is not known by which name the console is reached", where=where, todo=todo)
    if certificate is None and not shop.settings.collect.proxies:
        todo = (
            "Pass --certificate and --certificate-key, or put a proxy with TLS in front and name its address in "
            f"proxies of [collect]. {DOCS}"
        )
        raise SettingsError("passwords would travel without TLS", where=where, todo=todo)
