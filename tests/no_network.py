"""Forbid the network to a process: names are not looked up, no socket of the internet is made.

Where a `sitecustomize.py` on PYTHONPATH calls `forbid`, all processes that a run starts have none. What was tried is written to the file of the
variable TRIED, for a library may take the error for a network that is down.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any, Final

TRIED: Final = "NO_NETWORK_TRIED"
NETWORKS: Final = (socket.AF_INET, socket.AF_INET6)
NAMES: Final = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo", "urllib.Request", "http.client.connect")
SENDS: Final = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")
"""Sockets of this machine (AF_UNIX) may: pools of processes talk through them."""


def refuse(event: str, args: tuple[Any, ...]) -> None:
    """Raise where an audit event is one of the network."""
    is_network = event in NAMES or (event == "socket.__new__" and args[1] in NETWORKS) or (event in SENDS and args[0].family in NETWORKS)
    if is_network:
        with open(os.environ[TRIED], "a", encoding="utf-8") as file:
            file.write(f"{event} {args[1:]}\n")
        raise PermissionError(f"{event}: the network is forbidden here")


def forbid() -> None:
    """From now on, until this process ends."""
    sys.addaudithook(refuse)
