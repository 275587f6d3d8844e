"""AES-256-GCM. Imported at the first text that is encrypted: the library takes 40 ms to load."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from jobs.errors import ForgedMessage


class Cipher:
    """One key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        gcm = AESGCM(key)
        self.encrypt = gcm.encrypt
        self._decrypt = gcm.decrypt

    def decrypt(self, nonce: bytes, data: bytes, about: bytes) -> bytes:
        """Raises ForgedMessage."""
        try:
            return self._decrypt(nonce, data, about)
        except InvalidTag:
            raise ForgedMessage("it does not open: it was altered, or belongs to another job") from None
