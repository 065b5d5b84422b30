"""What an OpenID Connect issuer says: its addresses, its keys, and who somebody is.

The protocol's parts are those of Authlib and joserfc; what is asked of them is stricter than their defaults: algorithms
of public keys only, keys of the issuer's own address only, exactly one audience, and a time that is passed in.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from patron.schema.errors import AccessProblem
from patron.schema.sentences import Sentence
from patron.storage.access.oidc_settings import OidcSettings, is_safe_address

CHECK_ISSUER = Sentence("check_issuer", "Check issuer, client_id and its secret in patron.toml.")
ISSUER_SILENT = Sentence("issuer_silent", "the issuer does not answer ({cause})")
TRY_THEN_ADMINISTRATOR = Sentence("try_then_administrator", "Try again; then ask an administrator.")
ISSUER_NO_TOKEN = Sentence("issuer_no_token", "the issuer sent no id_token")
ISSUER_OTHER_NAME = Sentence("issuer_other_name", "the issuer names itself differently than the settings do")
ISSUER_UNSAFE_ADDRESS = Sentence("issuer_unsafe_address", "the issuer gives an address that is not safe")
ID_TOKEN_OTHER = Sentence("id_token_other", "the id_token is for another client")
ID_TOKEN_WITHOUT_USER = Sentence("id_token_without_user", "the id_token names no user")
ID_TOKEN_INVALID = Sentence("id_token_invalid", "the id_token is not valid ({kind}: {cause})")

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Signatures with a private key that the issuer alone has; never `none`, never one with a shared secret."""
LEEWAY_SECONDS = 60
"""How far the issuer's clock may be off."""
METADATA_SECONDS = 3_600
"""How long what an issuer says of itself counts."""
KEYS_SECONDS = 60
"""How long after its keys were read they are read again for a key that is not among them."""
TIMEOUT_SECONDS = 10
MAX_SUBJECT_LENGTH = 255
"""OpenID Connect Core 1.0, section 2."""
MAX_BYTES = 512 * 1024
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
BASIC = "client_secret_basic"
POST = "client_secret_post"
NONE = "none"


@dataclass(frozen=True)
class AuthorizationRequest:
    """What is sent with somebody to the issuer, and must come back."""

    redirect_uri: str
    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True)
class _Read:
    content: Mapping[str, Any]
    at: datetime


class Issuer:
    """One issuer; what it says of itself is read once an hour, its keys when one is new. For one server, by threads."""

    def __init__(self, settings: OidcSettings, client_secret: str) -> None:
        self.settings = settings
        self._client_secret = client_secret
        self._lock = threading.Lock()
        self._metadata: _Read | None = None
        self._keys: _Read | None = None

    def authorization_url(self, request: AuthorizationRequest, *, is_again: bool = False, now: datetime) -> str:
        """Address at the issuer to which a browser goes; `is_again` asks for the password there in any case."""
        again = {"prompt": "login", "max_age": "0"} if is_again else {}
        return prepare_grant_uri(
            self.metadata(now=now)["authorization_endpoint"],
            client_id=self.settings.client_id,
            response_type="code",
            redirect_uri=request.redirect_uri,
            scope=" ".join(self.settings.scopes),
            state=request.state,
            nonce=request.nonce,
            code_challenge=create_s256_code_challenge(request.code_verifier),
            code_challenge_method="S256",
            **again,
        )

    def claims(self, request: AuthorizationRequest, code: str, *, now: datetime) -> Mapping[str, Any]:
        """Who somebody is, for the code that came back. Raises AccessProblem for what proves nothing."""
        metadata = self.metadata(now=now)
        body = prepare_token_request(
            "authorization_code",
            "",
            redirect_uri=request.redirect_uri,
            code=code,
            code_verifier=request.code_verifier,
        )
        auth = ClientAuth(self.settings.client_id, self._client_secret, self._method(metadata))
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        url, headers, body = auth.prepare("POST", metadata["token_endpoint"], headers, body)
        tokens = self._json("POST", url, content=body.encode(), headers=headers)
        if not isinstance(tokens.get("id_token"), str):
            raise _refusal(ISSUER_NO_TOKEN)
        return self._verify(tokens, request.nonce, now=now)

    def metadata(self, *, now: datetime) -> Mapping[str, Any]:
        """What the issuer says of itself. Raises AccessProblem where it is another's, or unsafe."""
        with self._lock:
            known = self._metadata
        if known and (now - known.at).total_seconds() < METADATA_SECONDS:
            return known.content
        issuer = self.settings.issuer
        content = self._json("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if content.get("issuer") != issuer:
            raise _refusal(ISSUER_OTHER_NAME)
        if not all(is_safe_address(content.get(name)) for name in ENDPOINTS):
            raise _refusal(ISSUER_UNSAFE_ADDRESS)
        with self._lock:
            self._metadata = _Read(content, now)
        return content

    def _method(self, metadata: Mapping[str, Any]) -> str:
        if not self._client_secret:
            return NONE
        offered = metadata.get("token_endpoint_auth_methods_supported") or [BASIC]
        return BASIC if BASIC in offered else POST

    def _verify(self, tokens: Mapping[str, Any], nonce: str, *, now: datetime) -> Mapping[str, Any]:
        try:
            try:
                token = self._decode(tokens["id_token"], self._key_set(now=now))
            except InvalidKeyIdError:  # why: the issuer changed its keys
                token = self._decode(tokens["id_token"], self._key_set(now=now, is_new=True))
            expected = {
                "nonce": nonce,
                "client_id": self.settings.client_id,
                "access_token": tokens.get("access_token"),
            }
            options: Any = {"iss": {"essential": True, "value": self.settings.issuer}}
            claims = CodeIDToken(token.claims, token.header, options, expected)
            claims.validate(now=int(now.timestamp()), leeway=LEEWAY_SECONDS)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise _refusal(ID_TOKEN_INVALID(kind=type(error).__name__, cause=error)) from error
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if audience != [self.settings.client_id]:
            raise _refusal(ID_TOKEN_OTHER)
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= MAX_SUBJECT_LENGTH:
            raise _refusal(ID_TOKEN_WITHOUT_USER)
        return claims

    def _decode(self, text: str, keys: KeySet) -> jwt.Token:
        registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        return jwt.decode(text, key=keys, registry=registry)

    def _key_set(self, *, now: datetime, is_new: bool = False) -> KeySet:
        """Public keys of the issuer; those of a shared secret are left out."""
        with self._lock:
            known = self._keys
        age = (now - known.at).total_seconds() if known else METADATA_SECONDS
        if known is None or age >= METADATA_SECONDS or (is_new and age >= KEYS_SECONDS):
            known = _Read(self._json("GET", self.metadata(now=now)["jwks_uri"]), now)
            with self._lock:
                self._keys = known
        rows = known.content.get("keys")
        public = [row for row in rows if _is_public(row)] if isinstance(rows, list) else []
        return KeySet.import_key_set({"keys": public})  # pyright: ignore[reportArgumentType] - what an issuer said

    def _json(self, method: str, url: str, **options: Any) -> Mapping[str, Any]:
        """An object that the issuer answers with. Raises AccessProblem."""
        try:
            # why: an issuer on this machine is behind no proxy of the environment
            with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=url.startswith("https:")) as client:
                answer = client.request(method, url, **options)
        except httpx.HTTPError as error:
            raise _unreachable(type(error).__name__) from error
        if answer.status_code != httpx.codes.OK or len(answer.content) > MAX_BYTES:
            raise _unreachable(f"status {answer.status_code}")
        try:
            content = json.loads(answer.content)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise _unreachable("what it says is not JSON")
        return content


def _is_public(row: object) -> bool:
    return isinstance(row, dict) and row.get("kty") in {"RSA", "EC", "OKP"} and row.get("use", "sig") == "sig"


def _refusal(what: str) -> AccessProblem:
    return AccessProblem("sso_refused", what, status=401, where="[oidc]", todo=TRY_THEN_ADMINISTRATOR)


def _unreachable(what: str) -> AccessProblem:
    todo = CHECK_ISSUER
    return AccessProblem("sso_unreachable", ISSUER_SILENT(cause=what), status=502, where="[oidc]", todo=todo)
