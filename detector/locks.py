"""Keep two runs from writing one output at once: each holds the names that it writes, in a hidden file of their folder."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from detector.files import CorpusError, is_remote, is_stream

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK: Final = ".consent-detector.lock"
"""Empty; a name is held by a lock on a byte of it, which the system gives back when a process ends, however that happens. The last run removes it."""
FOLDERS: Final = 64
"""Folders in which names are held, each by an open file; a run on the same outputs meets the first of them."""


@contextmanager
def held(paths: Iterable[str]) -> Iterator[None]:
    """Hold local outputs for this process. Different outputs in one folder can be held by different processes.

    Parameters
    ----------
    paths : iterable of str

    Raises
    ------
    CorpusError
        If another process holds one of them.
    """
    names: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for path in paths:
        if fcntl and not is_stream(path) and not is_remote(path):
            folder, name = os.path.split(os.path.realpath(path))
            names[folder][_place(name)] = path
    with ExitStack() as stack:
        for folder in sorted(names)[:FOLDERS]:  # in one order everywhere, so that of two runs one goes on
            lock = Path(folder, LOCK)
            file = _hold(lock, names[folder])
            if file:
                stack.callback(_give_back, lock, file)
        yield


def _place(name: str) -> int:
    """The byte that stands for a name."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:7])


def _hold(lock: Path, paths: dict[int, str]) -> IO[bytes] | None:
    """Lock bytes of a file; None where none can be made or locked: where nothing can be written that is said later, with the output's name."""
    while True:
        try:
            file = lock.open("ab")
        except OSError:
            return None
        try:
            for place in sorted(paths):
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            if lock.exists() and os.path.samestat(os.fstat(file.fileno()), lock.stat()):  # else its last holder has removed it meanwhile
                return file
        except (BlockingIOError, PermissionError) as error:
            file.close()
            raise CorpusError(f"{paths[place]}: another run is writing it; wait until that has ended, or give another output") from error
        except OSError:  # a file system without locks
            file.close()
            return None
        file.close()


def _give_back(lock: Path, file: IO[bytes]) -> None:
    """Let go, and remove the file if nobody else holds a byte of it."""
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.unlink(missing_ok=True)
        except OSError:
            pass
