"""A small OpenID Connect issuer on this machine: it signs in whom a test names, honestly or as an attacker's would."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "patron", "of the client"


def new_key() -> RSAKey:
    """A key that signs, and its name."""
    return RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig"})


@cache
def first_key() -> RSAKey:
    """The key of every issuer until it rotates: a new one takes a tenth of a second."""
    return new_key()


class LocalIssuer(ThreadingHTTPServer):
    """`person` is who signs in next; `forge` changes the claims, the header or the key of the next id_token."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.person = {"sub": "ada-1", "email": "ada@example.com", "email_verified": True, "name": "Ada Lee"}
        self.forge = lambda claims, header, key: (claims, header, key)
        self.clock = lambda: datetime.now(UTC)
        self.metadata = {}
        self.requests, self.codes = [], {}
        self.key = first_key()

    def rotate(self) -> None:
        """Sign with a new key from now on."""
        self.key = new_key()

    def answer(self, url: str) -> dict[str, str]:
        """What a browser brings back that goes to an address here, as the query of the callback."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"], "iss": self.url}

    def token(self, form: dict[str, str]) -> dict[str, str] | None:
        """An id_token for a code, once, for who can prove to have asked for it."""
        asked = self.codes.pop(form.get("code", ""), None)
        hashed = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = _part(hashed)
        if not asked or (asked["code_challenge"], asked["redirect_uri"]) != (challenge, form.get("redirect_uri")):
            return None
        now = int(self.clock().timestamp())
        claims = {**self.person, "iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "auth_time": now}
        claims, header, key = self.forge(
            {**claims, "nonce": asked["nonce"]}, {"alg": "RS256", "kid": self.key.kid}, self.key
        )
        if header["alg"] in {"none", "HS256"}:
            text = f"{_part(json.dumps(header).encode())}.{_part(json.dumps(claims).encode())}"
            signature = hmac.digest(key, text.encode(), "sha256") if key else b""
            return {"access_token": "x", "token_type": "Bearer", "id_token": f"{text}.{_part(signature)}"}
        signed = jwt.encode(header, claims, key, algorithms=[header["alg"]])
        return {"access_token": "x", "token_type": "Bearer", "id_token": signed}


class _Handler(BaseHTTPRequestHandler):
    server: LocalIssuer

    def do_GET(self) -> None:
        issuer, path = self.server, urlsplit(self.path).path
        issuer.requests.append(path)
        if path == "/authorize":
            asked = parse_qs(urlsplit(self.path).query)
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri'][0]}?{urlencode(issuer.answer(self.path))}")
            self.end_headers()
        elif path == "/keys":
            self._say({"keys": [issuer.key.as_dict(private=False)]})
        else:
            said = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            self._say(
                {"issuer": issuer.url, **{name: f"{issuer.url}/{one}" for name, one in said.items()}, **issuer.metadata}
            )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        is_client = (
            self.headers.get("Authorization") == "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        )
        tokens = self.server.token({name: values[0] for name, values in parse_qs(body).items()}) if is_client else None
        self._say(tokens or {"error": "invalid_grant"}, 200 if tokens else 400)

    def _say(self, content: dict[str, object], status: int = 200) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@contextmanager
def local_issuer() -> Iterator[LocalIssuer]:
    """An issuer that answers until the end."""
    issuer = LocalIssuer()
    thread = threading.Thread(target=issuer.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        issuer.shutdown()
        issuer.server_close()
        thread.join(5)
