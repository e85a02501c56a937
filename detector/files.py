"""Find, open and write files: local or remote, compressed or not; an output appears under its name only when it is complete."""

from __future__ import annotations

import errno
import glob
import gzip
import hashlib
import io
import os
import stat
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final

STANDARD: Final = "-"
COMPRESSIONS: Final = (".gz", ".zst")
PACKED_BYTES: Final = 1 << 11
"""Bytes of Zstandard that are unpacked in one go: few, because four may come out as 128 kB. 2**14 take 970 MB for a gigabyte of zeros, these 140 MB,
and .3 ms more for a megabyte of text."""
BUFFER_BYTES: Final = 1 << 20
GZIP_LEVEL: Final = 6
"""The default of the command gzip."""


class CorpusError(ValueError):
    """An input that can't be read or an output that can't be written; the message names file and line."""


def extra(module: str, what: str) -> Any:
    """Import a module of the extra ``corpus``.

    Parameters
    ----------
    module : str
    what : str
        What needs it, for the message.

    Raises
    ------
    CorpusError
        With the line for pip, if it is not installed.
    """
    name = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        if not isinstance(error, ModuleNotFoundError):  # it is there, but too little memory, or another library's version
            raise CorpusError(f"{what} needs {name}, which can't be loaded ({error})") from error
        raise CorpusError(f"{what} needs {name}, which is not installed: pip install 'consent-text-detector[corpus]'") from error


def without_compression(path: str) -> str:
    """Name of a file in lower case, without the suffix of its compression.

    Examples
    --------
    >>> without_compression("News.JSONL.gz"), without_compression("news.txt")
    ('news.jsonl', 'news.txt')
    """
    name = path.lower()
    for suffix in COMPRESSIONS:
        name = name.removesuffix(suffix)
    return name


def name_of(path: str) -> str:
    """Name of an input for messages."""
    return "standard input" if path == STANDARD else path


def is_remote(path: str) -> bool:
    """Whether a path is an address for fsspec, such as ``s3://bucket/file``."""
    return "://" in path


def is_private(path: str) -> bool:
    """Whether a file is within this process and can't be reached by another."""
    return path.startswith("memory://")


def _file_system(path: str) -> tuple[Any, str]:
    """File system of a remote address, and the path in it."""
    fsspec = extra("fsspec", f"{path}: a remote address")
    try:
        system, inner = fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:
        raise CorpusError(f"{path}: can't be reached ({error})") from error
    return system, str(inner)


def open_bytes(path: str, mode: str = "rb") -> IO[bytes]:
    """Open a file as it is stored, without unpacking it."""
    if is_remote(path):
        system, inner = _file_system(path)
        return system.open(inner, mode)  # type: ignore[no-any-return]  # fsspec has no types
    return open(path, mode)


def size_of(path: str) -> int | None:
    """Stored bytes of a file; None if there is none, or for standard input."""
    try:
        if is_remote(path):
            system, inner = _file_system(path)
            return int(system.size(inner))
        return Path(path).stat().st_size
    except OSError:
        return None


def state_of(path: str) -> object:
    """What changes when a file does.

    Returns
    -------
    object
        None for standard input, pipes and devices, for a file that isn't there, and where a remote file system doesn't tell.

    Raises
    ------
    CorpusError
        If the file is there and can't be asked: a change of it would go unseen.
    """
    if path == STANDARD:
        return None
    try:
        if is_remote(path):
            system, inner = _file_system(path)
            return system.ukey(inner)
        facts = Path(path).stat()
    except (FileNotFoundError, NotImplementedError):
        return None
    except OSError as error:
        raise CorpusError(f"{path}: can't be read ({error.strerror or error})") from error
    return (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns) if stat.S_ISREG(facts.st_mode) else None


def digest_of(path: str) -> str:
    """SHA-256 of a file as it is stored."""
    with open_bytes(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # any file of bytes does


def is_stream(path: str) -> bool:
    """Whether bytes go from or to a path as they come: standard input and output, pipes and devices have no name to be renamed to, or read twice."""
    if path == STANDARD or is_remote(path):
        return path == STANDARD
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_directory(path: str) -> bool:
    """Whether there is a directory of that name."""
    if is_remote(path):
        system, inner = _file_system(path)
        return bool(system.isdir(inner))
    return Path(path).is_dir()


def is_file(path: str) -> bool:
    """Whether there is a local file of that name that can be read from any place; a pipe can't."""
    return not is_remote(path) and Path(path).is_file()


def make_directory(path: str) -> None:
    """Make a directory, with those above it, if it is not there."""
    if is_remote(path):
        system, inner = _file_system(path)
        system.makedirs(inner, exist_ok=True)
    else:
        Path(path).mkdir(parents=True, exist_ok=True)


def rename(path: str, target: str) -> None:
    """Give a file its final name, in place of any that had it; where that is a link, the link stays."""
    if is_remote(path):
        system, inner = _file_system(path)
        system.mv(inner, _file_system(target)[1])
    else:
        os.replace(path, os.path.realpath(target))


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    if is_remote(path):
        system, inner = _file_system(path)
        if system.exists(inner):
            system.rm(inner)
    else:
        Path(path).unlink(missing_ok=True)


def hidden(path: str, ending: str) -> str:
    """Name of a hidden file beside another.

    Examples
    --------
    >>> hidden("s3://news/clean.jsonl", "tmp"), hidden("clean.jsonl", "tmp")
    ('s3://news/.clean.jsonl.tmp', '.clean.jsonl.tmp')
    """
    folder, separator, name = path.rpartition("/" if is_remote(path) else os.sep)
    return f"{folder}{separator}.{name}.{ending}"


def _temporary(path: str, owner: int) -> str:
    return hidden(path if is_remote(path) else os.path.realpath(path), f"{owner}.tmp")


def remove_leftovers(paths: Iterable[str]) -> None:
    """Remove what runs that were killed left of local outputs. Each folder is listed once: there may be many outputs in it."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for path in paths:
        if not is_stream(path) and not is_remote(path):
            folder, name = os.path.split(os.path.realpath(path))
            names[folder].add(name)
    for folder, own in names.items():
        for leftover in Path(folder).glob(".*.tmp"):
            if leftover.name[1:].rpartition(".")[0].rpartition(".")[0] in own:
                leftover.unlink(missing_ok=True)


def packed(data: bytes, path: str) -> bytes:
    """Bytes as they are stored under a name: for ``.gz`` and ``.zst`` a member, or a frame, of its own.

    Members and frames one after another are a valid file, so that parts of a file can be compressed in different processes.

    Examples
    --------
    >>> packed(b"a", "a.txt"), gzip.decompress(packed(b"a", "a.gz") + packed(b"b", "a.gz"))
    (b'a', b'ab')
    """
    if path.endswith(".gz"):
        return gzip.compress(data, GZIP_LEVEL, mtime=0)
    if path.endswith(".zst"):
        return extra("zstandard", f"{path}: .zst").ZstdCompressor().compress(data)  # type: ignore[no-any-return]  # zstandard is optional
    return data


@contextmanager
def opened(path: str) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open an input.

    Parameters
    ----------
    path : str
        ``-`` is standard input; ``.gz`` and ``.zst`` are unpacked.

    Yields
    ------
    file : file of bytes
        Unpacked.
    stored : file of bytes
        The same as it is stored; its position says how much has been read.

    Raises
    ------
    CorpusError
        If it can't be read or is damaged.
    """
    try:
        if path == STANDARD:
            _check_open(sys.stdin)
            yield sys.stdin.buffer, sys.stdin.buffer
            return
        with open_bytes(path) as stored:
            if path.endswith(COMPRESSIONS) and not is_stream(path) and size_of(path) == 0:
                raise EOFError("it is empty, which no packed file is")  # noqa: TRY301 - gzip reads it as a file without members
            if path.endswith(".gz"):
                with gzip.open(stored, "rb") as file:
                    yield file, stored  # type: ignore[misc]  # a GzipFile reads bytes like any other
            elif path.endswith(".zst"):
                yield io.BufferedReader(_Zstandard(stored, path), BUFFER_BYTES), stored
            else:
                yield stored, stored
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise CorpusError(f"{name_of(path)}: can't be read ({error.strerror if isinstance(error, OSError) and error.strerror else error})") from error


def _check_open(stream: object) -> None:
    if stream is None:
        raise OSError(errno.EBADF, "it is closed")


class _Zstandard(io.RawIOBase):
    """Unpacked bytes of a file of one or more Zstandard frames; unlike zstandard's own reader it reports one that is cut off."""

    def __init__(self, stored: IO[bytes], path: str) -> None:
        self._zstandard = extra("zstandard", f"{path}: .zst")
        self._stored = stored
        self._frame: Any = None
        self._packed = b""
        self._waiting = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._waiting:
            packed = self._packed or self._stored.read(PACKED_BYTES)
            if not packed:
                if self._frame is not None and not self._frame.eof:
                    raise EOFError("it ends too early")
                return 0
            if self._frame is None or self._frame.eof:
                self._frame = self._zstandard.ZstdDecompressor().decompressobj()
            try:
                self._waiting = memoryview(self._frame.decompress(packed))
            except self._zstandard.ZstdError as error:
                raise OSError(str(error)) from error
            self._packed = self._frame.unused_data if self._frame.eof else b""
        n = min(len(buffer), len(self._waiting))
        buffer[:n] = self._waiting[:n]
        self._waiting = self._waiting[n:]
        return n


@contextmanager
def _writing(path: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # of another output, while this one was open
        raise
    except OSError as error:
        raise CorpusError(f"{path}: can't be written ({error.strerror or error})") from error


@contextmanager
def staged(path: str, owner: int) -> Iterator[IO[bytes]]:
    """Open an output, as it will be stored, under a temporary name; `publish` gives it its own. It is removed if something goes wrong.

    Parameters
    ----------
    path : str
        ``-`` is standard output, which is not staged, nor is a pipe or a device.
    owner : int
        Process that will publish it.

    Raises
    ------
    CorpusError
        If it can't be written.
    """
    if path == STANDARD:
        with _writing("standard output"):
            _check_open(sys.stdout)
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        return
    if is_stream(path):
        with _writing(path), open_bytes(path, "wb") as file:
            yield file
        return
    temporary = _temporary(path, owner)
    with _writing(path):
        try:
            with open_bytes(temporary, "wb") as file:
                yield file
        except BaseException:
            remove(temporary)
            raise


def publish(path: str, owner: int) -> None:
    """Give an output that was staged its name, in place of any file that had it.

    Raises
    ------
    CorpusError
        If that can't be done; a file of that name is left as it was.
    """
    if not is_stream(path):
        temporary = _temporary(path, owner)
        with _writing(path):
            try:
                rename(temporary, path)
            except OSError:
                remove(temporary)
                raise


@contextmanager
def written_bytes(path: str) -> Iterator[IO[bytes]]:
    """Open an output, as it will be stored, that appears under its name only when it is complete.

    Parameters
    ----------
    path : str
        ``-`` is standard output.

    Raises
    ------
    CorpusError
        If it can't be written; a file of that name is left as it was.
    """
    with staged(path, os.getpid()) as file:
        yield file
    publish(path, os.getpid())


@contextmanager
def written(path: str) -> Iterator[IO[str]]:
    """Open an output of text that appears under its name only when it is complete.

    Parameters
    ----------
    path : str
        ``-`` is standard output; ``.gz`` is compressed, without name and time, so that the same text gives the same bytes, and so is ``.zst``.

    Raises
    ------
    CorpusError
        If it can't be written; a file of that name is left as it was.
    """
    with written_bytes(path) as stored:
        packed: Any = stored
        if path.endswith(".gz"):
            packed = gzip.GzipFile("", "wb", fileobj=stored, mtime=0)
        elif path.endswith(".zst"):
            packed = extra("zstandard", f"{path}: .zst").ZstdCompressor().stream_writer(stored, closefd=False)
        out = io.TextIOWrapper(packed, encoding="utf-8", newline="")
        try:
            yield out
            out.flush()
        finally:
            out.detach()
        if packed is not stored:
            packed.close()


def found(pattern: str) -> list[tuple[str, str]] | None:
    """Find the files that an input stands for.

    Parameters
    ----------
    pattern : str
        File, directory or glob, local or remote. A file of that very name goes before the glob. Hidden files of a directory are left out.

    Returns
    -------
    list of (path, name), or None
        Sorted; the name is the path below the directory, or below the part of the glob that has no wildcard. None if it stands for one file.
    """
    if pattern == STANDARD or not (is_directory(pattern) or (glob.has_magic(pattern) and size_of(pattern) is None)):
        return None
    if is_remote(pattern):
        system, inner = _file_system(pattern)
        paths = [str(path) for path in (system.find(inner) if system.isdir(inner) else system.glob(inner)) if not system.isdir(path)]
        pairs = [(str(system.unstrip_protocol(path)), path[len(_root(inner, "/")) :].lstrip("/")) for path in sorted(paths)]
    else:
        places = _below(pattern) if Path(pattern).is_dir() else map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207 - any root
        pairs = [
            (str(path), os.path.relpath(path, _root(pattern, os.sep) or ".")) for path in sorted(places) if path.is_file() or _leads_nowhere(path)
        ]
    return [(path, name) for path, name in pairs if not any(part.startswith(".") for part in Path(name).parts)]


def _below(folder: str) -> Iterator[Path]:
    """Files of a directory and those below it. One that can't be read is an error, where a glob would leave it out."""

    def fail(error: OSError) -> None:
        raise CorpusError(f"{error.filename}: can't be read ({error.strerror})") from error

    for place, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in names)


def _leads_nowhere(path: Path) -> bool:
    """Whether it is a link to nothing: it is taken for a file, so that the run stops at it, where it would be missed."""
    return path.is_symlink() and not path.exists()


def _root(pattern: str, separator: str) -> str:
    """The part of a glob before its first wildcard, up to the separator; a directory without wildcards as it is."""
    if not glob.has_magic(pattern):
        return pattern
    parts = pattern.split(separator)
    return separator.join(parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
