"""Jobs: the files that the inputs of a command stand for, and where each goes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from detector.corpus import CorpusError, Format, format_of, known_format
from detector.files import COMPRESSIONS, STANDARD, found, is_directory, is_remote, is_stream, make_directory


class Job(NamedTuple):
    """A file to filter and where to."""

    path: str
    output: str
    file_format: Format


def jobs_of(inputs: Sequence[str], to: str, given: Format | None = None, output: str | None = None) -> list[Job]:
    """Find the files that the inputs stand for, and name an output for each; folders below an output directory are made.

    Parameters
    ----------
    inputs : sequence of str
        Files, directories, globs, remote addresses, or ``-``.
    to : str
        File or directory.
    given : str, optional
        Format of the inputs; by default it is told by their names.
    output : str, optional
        What `filter` writes (`detector.results.OUTPUTS`); None for commands that write lines of their own.

    Returns
    -------
    list of Job

    Raises
    ------
    CorpusError
        If there are none, or no place for several outputs, or one place for two, or if a format can't be written under an output's name.
    """
    files, several = _found_files(inputs, given)
    formats = [format_of(path, given) for path, _ in files]
    if not several and not (to != STANDARD and is_directory(to)):
        jobs = [Job(files[0][0], to, formats[0])]
    elif to == STANDARD and set(formats) <= {"jsonl", "wet"}:
        jobs = [Job(path, STANDARD, kind) for (path, _), kind in zip(files, formats, strict=True)]
    elif to == STANDARD or (known_format(to) and not is_directory(to)):
        raise CorpusError(f"{len(files)} inputs need a directory as output, got {to!r}; name one with -o")
    else:
        names = [_json_name(name) if kind == "wet" and output != "text" else name for (_, name), kind in zip(files, formats, strict=True)]
        jobs = [Job(path, f"{to.rstrip('/')}/{name}", kind) for (path, _), name, kind in zip(files, names, formats, strict=True)]
        for folder in dict.fromkeys(job.output.rpartition("/")[0] for job in jobs):
            make_directory(folder)
    _check_names(jobs)
    check_no_input(jobs)
    if output:
        _check_formats(jobs, output)
    return jobs


def files_of(inputs: Sequence[str], given: Format | None = None) -> list[tuple[str, Format]]:
    """Find the files that the inputs stand for, with the format of each, for a command that makes one output of them all.

    Parameters
    ----------
    inputs : sequence of str
        Files, directories, globs, remote addresses, or ``-``.
    given : str, optional
        Format of the inputs; by default it is told by their names.

    Raises
    ------
    CorpusError
        If one stands for none.
    """
    return [(path, format_of(path, given)) for path, _ in _found_files(inputs, given)[0]]


def _found_files(inputs: Sequence[str], given: Format | None) -> tuple[list[tuple[str, str]], bool]:
    """Path of each file and its name below an output directory; and whether there may be several."""
    files: list[tuple[str, str]] = []
    several = len(inputs) > 1
    for pattern in inputs:
        matches = found(pattern)
        if matches is None:
            files.append((pattern, "stdin" if pattern == STANDARD else pattern.replace(os.sep, "/").rpartition("/")[2]))
            continue
        several = True
        matches = [(path, name) for path, name in matches if given or known_format(path) or not is_directory(pattern)]
        if not matches:
            raise CorpusError(f"{pattern}: no file of a known name (.txt, .jsonl, .ndjson, .wet, .warc, .parquet; .gz or .zst may follow)")
        files += matches
    return files, several


def _json_name(name: str) -> str:
    """Name of the JSONL file that is made of a WET file."""
    compression = next((suffix for suffix in COMPRESSIONS if name.endswith(suffix)), "")
    return name.removesuffix(compression) + ".jsonl" + compression


def _check_names(jobs: list[Job]) -> None:
    names = set()
    for job in jobs:
        if job.output != STANDARD and job.output in names:
            raise CorpusError(f"two inputs would be written to {job.output}; give them one by one")
        names.add(job.output)


def check_no_input(jobs: Sequence[Job], others: Iterable[str] = ()) -> None:
    """Check that nothing is written over an input, or over another output.

    Parameters
    ----------
    jobs : sequence of Job
    others : iterable of str
        What is written beside their outputs.

    Raises
    ------
    CorpusError
    """
    inputs = {name for job in jobs if (name := _identity(job.path))}
    others = list(others)
    for path in (*(job.output for job in jobs), *others):
        if _identity(path) in inputs:
            raise CorpusError(f"{path}: is an input; give another name")
    names = [os.path.realpath(path) for path in (*{job.output for job in jobs}, *others) if not (is_remote(path) or is_stream(path))]
    for path in others:
        if names.count(os.path.realpath(path)) > 1:
            raise CorpusError(f"{path}: would be written twice in one run; give another name")


def _identity(path: str) -> object:
    """What is the same for two names of one file; None if there is none."""
    if is_stream(path):
        return None
    if is_remote(path):
        return path
    try:
        facts = os.stat(path)  # noqa: PTH116 - as for any path
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def _check_formats(jobs: list[Job], output: str) -> None:
    for job in jobs:
        target = known_format(job.output)
        if job.file_format == "parquet" and (target != "parquet" or output == "dolma"):
            raise CorpusError(
                f"{job.path}: Parquet is written as Parquet, with --output text, spans or scores, got {job.output!r}, --output {output}"
            )
        if job.file_format != "parquet" and target == "parquet":
            raise CorpusError(f"{job.path}: {job.file_format} can't be written as Parquet, got {job.output!r}; give another name with -o")
        if target == "wet" and (output != "text" or job.file_format != "wet"):
            raise CorpusError(f"{job.path}: only filtered WET is written as WET, got {job.output!r}; give a name that ends in .jsonl with -o")
