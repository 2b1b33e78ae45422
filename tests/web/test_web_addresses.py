"""Where connections may go. The names of these hosts are looked up by resolvers that lie."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.web.addresses import ForbiddenAddress, GuardedBackend, Resolver, is_public, system_resolver
from mien.web.deadline import Deadline, OutOfTime

PUBLIC = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e", "::ffff:93.184.215.14")
FORBIDDEN = (
    *("127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.255", "0.0.0.0", "0.1.2.3"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "192.0.0.8"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::ffff:10.0.0.1", "::127.0.0.1", "::7f00:1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "64:ff9b:1::5db8:d70e"),
    *("2002:7f00:1::", "2002:5db8:d70e::1", "2001:0:5db8:d70e::1", "3fff::1", "100::1", "5f00::1"),
    *("localhost", "", "127.1", "0x7f000001", "2130706433", "[::1]"),
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_known(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_no_other_address_is_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_within_another_is_judged_as_itself(inner: ipaddress.IPv4Address) -> None:
    assert is_public(f"::ffff:{inner}") == is_public(str(inner))
    assert is_public(f"64:ff9b::{inner}") == is_public(str(inner))
    assert not is_public(f"::{inner}")
    assert not is_public(f"2002:{int(inner) >> 16:x}:{int(inner) & 0xFFFF:x}::1")


@pytest.fixture
def port() -> Iterator[int]:
    """A port of 127.0.0.1 that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def backend(*answers: str, allow_private: bool = False) -> GuardedBackend:
    return GuardedBackend(lambda host, port: answers, allow_private, Deadline(lambda: 0.0))


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_name_with_one_forbidden_address_is_not_connected_to(address: str, port: int) -> None:
    with pytest.raises(ForbiddenAddress) as caught:
        backend(PUBLIC[0], address, PUBLIC[1]).connect_tcp("trap.example", port, 0.001)
    assert caught.value.address == address


def test_literal_addresses_are_checked_as_the_system_reads_them(port: int) -> None:
    real = GuardedBackend(system_resolver, False, Deadline(lambda: 0.0))
    for host in ("127.0.0.1", "2130706433", "0x7f.1", "127.1", "::1", "::ffff:127.0.0.1", "localhost"):
        with pytest.raises((ForbiddenAddress, httpcore.ConnectError)):  # not all systems read them all
            real.connect_tcp(host, port, 1.0)


def test_the_address_that_was_checked_is_the_one_connected_to(port: int) -> None:
    asked = []

    def resolve(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ("127.0.0.1",)

    with closing(GuardedBackend(resolve, True, Deadline(lambda: 0.0)).connect_tcp("name.example", port, 5.0)) as stream:
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
    assert asked == [("name.example", port)]  # once: a second answer could be another


def test_the_next_address_is_tried_where_one_does_not_answer(port: int) -> None:
    with closing(backend("255.255.255.255", "127.0.0.1", allow_private=True).connect_tcp("a", port, 5.0)) as stream:
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"


def test_a_name_without_addresses_cannot_be_connected_to() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    nothing: Resolver = lambda host, port: ()  # noqa: E731
    for resolve in (unknown, nothing):
        with pytest.raises(httpcore.ConnectError):
            GuardedBackend(resolve, False, Deadline(lambda: 0.0)).connect_tcp("name.example", 80, 1.0)


def test_no_wait_outlasts_the_deadline(port: int) -> None:
    now = [0.0]
    deadline = Deadline(lambda: now[0])
    assert deadline.capped(30.0) == 30.0
    stream = GuardedBackend(lambda host, port: ["127.0.0.1"], True, deadline).connect_tcp("a", port, 5.0)
    with closing(stream), deadline.within(100):
        now[0] = 80.0
        assert deadline.capped(30.0) == 20.0
        assert deadline.capped(None) == 20.0
        now[0] = 100.0
        with pytest.raises(OutOfTime):
            stream.read(1, 30.0)
        with pytest.raises(OutOfTime):
            stream.write(b"a", 30.0)
    assert deadline.capped(None) is None
