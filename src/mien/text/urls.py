"""URLs as people are told them: without what may be secret in them."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit


def told(url: str) -> str:
    """A URL without its user, password, query and fragment: "postgresql://host/database". Of one that cannot be read
    only its scheme, as nobody knows where a password in it ends."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return f"{url.partition('://')[0]}://..."
    return f"{parts.scheme}://{host}{parts.path}"


def passwords(url: str) -> tuple[str, ...]:
    """The passwords in a URL, also those among its parameters, as they are written there and as they are meant: the
    longest first, as others may be part of it. Raises ValueError for a URL that cannot be read."""
    parts = urlsplit(url)
    written = [parts.netloc.rpartition("@")[0].partition(":")[2]]
    for one in parts.query.split("&"):
        key, _, value = one.partition("=")
        if "password" in unquote(key).lower():
            written.append(value)
    found = dict.fromkeys(form for one in written for form in (one, unquote(one)) if form)
    return tuple(sorted(found, key=len, reverse=True))


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
