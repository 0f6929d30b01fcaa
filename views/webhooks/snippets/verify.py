import base64
import hashlib
import hmac
import time

TOLERANCE_S = 300


def is_from_signpost(raw_body: bytes, headers: dict, secret: str) -> bool:
    """raw_body: the exact bytes of the request, before any parsing. headers: with lower-case names. secret: the endpoint's."""
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(time.time() - int(timestamp)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + raw_body, hashlib.sha256).digest()
    wanted = ("v1," + base64.b64encode(digest).decode()).encode()
    # While a secret is being changed there are several signatures.
    return any(hmac.compare_digest(given.encode(), wanted) for given in headers.get("webhook-signature", "").split(" "))
