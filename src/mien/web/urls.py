"""Which URLs may be asked for, and how they are shown. httpx alone reads them, so that the URL that is checked is the
one that is asked: two readers that disagree on where the host ends are an old way round such checks."""

from __future__ import annotations

import re

import httpx

from mien.errors import FetchError
from mien.text.fetching import FetchFault

SCHEMES = ("http", "https")
_SHOWN = 200
"""Characters of a URL in a message, at most."""


def parse(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """The URL that `text` is, relative to `base` if given, without its fragment; its host is lower-case ASCII.

    Raises FetchError (ADDRESS) for a text that is no URL of http or https, and for a URL with a name or password in it.
    """
    try:
        url = base.join(text) if base else httpx.URL(text)
        if url.scheme not in SCHEMES or not url.host:
            remedy = "Only addresses with http:// or https:// are fetched."
            raise FetchError(shown(text), "is not a web address", remedy, FetchFault.ADDRESS)
        if url.port is not None and not 0 < url.port < 65536:
            raise FetchError(shown(url), "has an impossible port", "Ports go from 1 to 65535.", FetchFault.ADDRESS)
        if url.userinfo:
            remedy = "Take it out: addresses end up in files and messages, and mien sends no credentials."
            raise FetchError(shown(url), "has a user name or password in it", remedy, FetchFault.ADDRESS)
        return url.copy_with(fragment=None) if url.fragment else url
    except (httpx.InvalidURL, ValueError) as error:
        remedy = "Check how it is written."
        raise FetchError(shown(text), "is not a web address", remedy, FetchFault.ADDRESS) from error


def shown(url: httpx.URL | str) -> str:
    """`url` for a message, on one line, without the parts that may be secret: user, password, and the query."""
    text = str(url)
    if isinstance(url, str):  # it may be written wrongly, so that nobody knows where a password in it ends
        text = re.sub(r"^(\w[\w+.-]*:[/\\]*|//)?.*@", r"\1", text, flags=re.DOTALL)
    elif url.userinfo:
        text = text.replace(f"{url.userinfo.decode('ascii')}@", "", 1)
    address, mark, _ = re.sub("#.*", "", text, flags=re.DOTALL).partition("?")
    clean = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in address)
    return (clean if len(clean) <= _SHOWN else clean[:_SHOWN] + "…") + ("?…" if mark else "")


def host(name: str) -> str:
    """`name` in the form that `parse` gives hosts. Raises ValueError for a name that is more than a host: one with a
    port or path, say."""
    try:
        url = httpx.URL(scheme="http", host=name)
    except httpx.InvalidURL as error:
        raise ValueError(f"{name} is not a host") from error
    if not name or url.userinfo or url.raw_path != b"/" or url.fragment or "%" in url.host:
        raise ValueError(f"{name} is not a host")
    return ascii_host(url)


def ascii_host(url: httpx.URL) -> str:
    """The host as it is asked for: international names in their ASCII form, an IPv6 address without brackets."""
    return url.raw_host.decode("ascii")
