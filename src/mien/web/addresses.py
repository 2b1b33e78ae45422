"""Which IP addresses may be connected to, and a network backend that connects to no other.

Checking a URL's host beforehand is no use: a name may have a public address when it is checked and a private one a
moment later ("DNS rebinding"), and 127.0.0.1 has many spellings. So the backend looks the name up once, checks every
answer, and connects to the very address that it checked. TLS still verifies the name.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

from mien.web.deadline import Deadline

Resolver = Callable[[str, int], Sequence[str]]
"""(host, port) -> its IP addresses, best first. Raises OSError."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that is routed in the IPv6 Internet (RFC 4291, section 2.4, and the IANA registry of address space)."""
_TUNNELS = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/32"))
"""6to4 (RFC 3056) and Teredo (RFC 4380) carry packets to an IPv4 address written inside; both are long dead."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""The well-known prefix of NAT64 (RFC 6052): on networks without IPv4, how all of it is reached."""


_SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
"""In the IANA registries of special-purpose addresses, but public by `ipaddress` of one Python or another from 3.11."""


class ForbiddenAddress(Exception):  # noqa: N818 - never seen outside this room
    """`address` is one that may not be connected to."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The `Resolver` of the operating system, whose order follows RFC 6724."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether `address` (text of an IP address) is one host of the public Internet: not private, loopback, link-local
    (where clouds keep their metadata service), shared (CGNAT), multicast, reserved or unspecified, nor an IPv6 address
    that leads to such an IPv4 one. A text that is no IP address is not public."""
    try:
        return _is_public(ipaddress.ip_address(address))
    except ValueError:
        return False


def _is_public(address: _Address) -> bool:
    if any(address in special for special in _SPECIAL):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and not address.is_reserved
    if address.ipv4_mapped is not None:
        return _is_public(address.ipv4_mapped)
    if address in _NAT64:
        return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _UNICAST and address.is_global and not any(address in tunnel for tunnel in _TUNNELS)


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to public addresses only, or to any where `allow_private`; each wait ends at the `deadline`."""

    def __init__(self, resolve: Resolver, allow_private: bool, deadline: Deadline) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._deadline = deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address of `host` that answers. Raises ForbiddenAddress if any of its addresses is
        not public: a name with both kinds is a trap, or badly set up."""
        addresses = self._addresses(host, port)
        for address in addresses:
            if not self._allow_private and not is_public(address):
                raise ForbiddenAddress(address)
        failure: httpcore.NetworkError | httpcore.TimeoutException = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                stream = self._sockets.connect_tcp(
                    address, port, self._deadline.capped(timeout), local_address, socket_options
                )
                return _DeadlineStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            return self._resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(error) from error


class _DeadlineStream(httpcore.NetworkStream):
    """A stream whose waits end at the deadline of the thread that uses it."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.capped(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.capped(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secure = self._stream.start_tls(ssl_context, server_hostname, self._deadline.capped(timeout))
        return _DeadlineStream(secure, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
