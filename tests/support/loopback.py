"""Tests talk to this machine alone: any other address fails before a packet leaves."""

import sys
from ipaddress import ip_address
from typing import Any

_AT_HOME = ("localhost", "", None)


class OutsideError(Exception):
    """A test asked for an address that is not on this machine."""


def stay_on_loopback() -> None:
    """From here on, this process can neither connect to other machines nor ask for their names.

    Python tells audit hooks of both (PEP 578), whichever library asks, unless it does so in C.
    """
    sys.addaudithook(_refuse_outside)


def _refuse_outside(event: str, told: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = told[1]
        host = address[0] if isinstance(address, tuple) else ""  # or a path of this machine
    elif event == "socket.getaddrinfo":
        host = told[0]
    else:
        return
    if not _is_at_home(host):
        raise OutsideError(f"{event} of {host!r}: tests talk to loopback alone")


def _is_at_home(host: Any) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in _AT_HOME or not isinstance(host, str):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
