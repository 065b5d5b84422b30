"""A passkey in Python: a device that makes a key (ES256) and signs with it, also as an attacker's would."""

import hashlib
import json
import secrets

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import base64url_to_bytes as _bytes
from webauthn.helpers import bytes_to_base64url as text

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class Device:
    """Holds one passkey; `sign_count` is what it says next."""

    def __init__(self, origin="http://localhost:8321", name="localhost"):
        self.origin, self.name = origin, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id, self.user, self.sign_count = secrets.token_bytes(16), b"", 1
        self.flags = PRESENT | VERIFIED

    def make(self, options) -> str:
        """What a browser sends for a new passkey."""
        self.user = _bytes(options["user"]["id"])
        point = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        made = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(cose)
        said = {"fmt": "none", "attStmt": {}, "authData": self._data(ATTESTED) + made}
        response = {"attestationObject": text(cbor2.dumps(said)), "clientDataJSON": self._client("create", options)}
        self.sign_count += 1
        return self._answer({**response, "transports": ["internal"]})

    def sign(self, options) -> str:
        """What a browser sends to sign in."""
        data, client = self._data(), self._client("get", options)
        signature = self.key.sign(data + hashlib.sha256(_bytes(client)).digest(), ec.ECDSA(hashes.SHA256()))
        response = {"authenticatorData": text(data), "clientDataJSON": client, "signature": text(signature)}
        self.sign_count += 1
        return self._answer({**response, "userHandle": text(self.user)})

    def _data(self, flags=0) -> bytes:
        return hashlib.sha256(self.name.encode()).digest() + bytes([self.flags | flags]) + self.sign_count.to_bytes(4)

    def _client(self, step, options) -> str:
        content = {"type": f"webauthn.{step}", "challenge": options["challenge"], "origin": self.origin}
        return text(json.dumps(content).encode())

    def _answer(self, response) -> str:
        return json.dumps({"id": text(self.id), "rawId": text(self.id), "type": "public-key", "response": response})
