"""URLs as people are told them: without what may be secret in them."""

from __future__ import annotations

from urllib.parse import urlsplit

from mien.servers import passwords


def told(url: str) -> str:
    """A URL without its user, password, query and fragment: "postgresql://host/database". Of one that cannot be read
    only its scheme, as nobody knows where a password in it ends."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return f"{url.partition('://')[0]}://..."
    return f"{parts.scheme}://{host}{parts.path}"


def without_secrets(text: str, url: str) -> str:
    """A text that speaks of a URL, as an error does, without the passwords in that."""
    try:
        secrets = passwords(url)
    except ValueError:
        return told(url)
    text = text.replace(url, told(url))
    for secret in secrets:
        text = text.replace(secret, "...")
    return text
