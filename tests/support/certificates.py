"""Keys of certificates in other forms than trustme makes them."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)


def encrypted(key: bytes, password: bytes) -> bytes:
    """Return a PEM key as a PEM key that a password opens."""
    loaded = load_pem_private_key(key, None)
    encryption = BestAvailableEncryption(password)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
