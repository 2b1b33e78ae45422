"""Which URLs may be asked for, and how they are shown. httpx alone reads them, so that what is checked is what is
asked: two readers that disagree on where the host ends are an old way round such checks."""

from __future__ import annotations

import re

import httpx

from mien.errors import FetchError

SCHEMES = ("http", "https")
_SHOWN = 200
"""Characters of a URL in a message, at most."""


def parse(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """The URL that `text` is, relative to `base` if given, without its fragment; its host is lower-case ASCII.

    Raises FetchError (kind "address") for what is no URL of http or https, and for one with a name or password in it.
    """
    try:
        url = base.join(text) if base else httpx.URL(text)
        if url.scheme not in SCHEMES or not url.host:
            raise FetchError(
                f"{shown(text)} is not a web address.",
                "Only addresses with http:// or https:// are fetched.",
                "address",
            )
        if url.port is not None and not 0 < url.port < 65536:
            raise FetchError(f"{shown(url)} has an impossible port.", "Ports go from 1 to 65535.", "address")
        if url.userinfo:
            raise FetchError(
                f"{shown(url)} has a user name or password in it.",
                "Take it out: addresses end up in files and messages, and mien sends no credentials.",
                "address",
            )
        return url.copy_with(fragment=None) if url.fragment else url
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchError(f"{shown(text)} is not a web address.", "Check how it is written.", "address") from error


def shown(url: httpx.URL | str) -> str:
    """`url` for a message: without user, password and what stands in its query, which may be secret, on one line."""
    text = str(url)
    if isinstance(url, str):  # may be written wrongly, so that nobody knows where a password in it ends
        text = re.sub(r"^(\w[\w+.-]*:[/\\]*|//)?.*@", r"\1", text, flags=re.DOTALL)
    elif url.userinfo:
        text = text.replace(f"{url.userinfo.decode('ascii')}@", "", 1)
    address, mark, _ = re.sub("#.*", "", text, flags=re.DOTALL).partition("?")
    clean = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in address)
    return (clean if len(clean) <= _SHOWN else clean[:_SHOWN] + "…") + ("?…" if mark else "")


def host(name: str) -> str:
    """`name` as `parse` gives hosts. Raises ValueError for what is not a host alone: one with a port or path, say."""
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
