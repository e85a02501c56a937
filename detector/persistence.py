"""Read and write model files: joblib files of plain arrays, numbers, strings, lists and dicts, which can run nothing (`detector.unpickling`)."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from joblib.numpy_pickle import dump as joblib_dump

from detector.context import FEATURES
from detector.model import LARGEST_SQUARE, SQUARES_TO_ONE, THRESHOLDS, Alone, Model, squares_of
from detector.pieces import PIECE_FEATURES
from detector.unpickling import FILE_BYTES, ModelError, read_record

__all__ = ["FORMAT", "SHA256", "SHIPPED", "VERSION", "ModelError", "load_model", "save_model"]

FORMAT: Final = "consent-text-detector"
VERSION: Final = 4
"""Version of the file format; it grows when an older reader would misread the file."""
SHIPPED: Final = Path(__file__).parent / "model" / "consent.joblib"
"""The model that comes with the package."""
COMPRESSION: Final = ("zlib", 6)
"""A level of 9 takes a second more, of two that adapting a model takes, and saves a hundredth."""
MAX_BITS: Final = 24
MAX_PASSES: Final = 16
"""Passes of the context stage and of the piece stage; each takes time at every prediction, and two are usual."""
GRID: Final = (1e-9, 1e9)
LARGEST: Final = 1e6
"""No coefficient is larger: with any that are not, every score is finite."""


SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
"""A digest, as a caller gives it."""


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model file; the same model gives the same bytes.

    The file is written under a temporary name beside the final one and renamed when it is complete.

    Parameters
    ----------
    model : Model
    path : str or path

    Raises
    ------
    ModelError
        If it could not be read again, for example for a card of more than half a megabyte. A file of that name is left as it was.
    """
    record = {
        "format": FORMAT,
        "version": VERSION,
        "bits": model.bits,
        "grid": model.grid,
        "evidence": model.units[:-1].astype("<i4"),
        "squares": squares_of(model.idf).astype("<u2"),
        "hot": np.packbits(model.hot),
        "bias": float(model.bias),
        "alone": [float(x) for x in model.alone],
        "context_features": list(FEATURES),
        "context": model.context.astype("<f8"),
        "context_bias": model.context_bias.astype("<f8"),
        "piece_features": list(PIECE_FEATURES),
        "pieces": model.pieces.astype("<f8"),
        "pieces_bias": model.pieces_bias.astype("<f8"),
        "thresholds": {name: float(model.thresholds[name]) for name in THRESHOLDS},
        "card": _tree(model.card),
    }
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        joblib_dump(record, temporary, compress=COMPRESSION, protocol=4)
        load_model(temporary)  # what can't be read again is not written
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _tree(value: Any) -> Any:
    """The same with lists and dicts copied: in a file none may be at two places."""
    if isinstance(value, Mapping):
        return {name: _tree(inner) for name, inner in value.items()}
    return [_tree(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def load_model(path: str | os.PathLike[str] | None = None, sha256: str | None = None) -> Model:
    """Read a model file; nothing that it names is run.

    Parameters
    ----------
    path : str or path, optional
        The file; by default the model that comes with the package.
    sha256 : str, optional
        Digest that the file must have, 64 hexadecimal digits, as ``sha256sum`` prints it. The file is read once: what was digested is what is loaded,
        and nothing of a file with another digest is looked at.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If the file has another digest, names anything but arrays, is truncated or of another format or version, is too large, holds arrays of the
        wrong shape or values that are not finite, or is no regular file.
    ValueError
        If `sha256` is no such digest.
    FileNotFoundError, OSError
        If there is no such file, or it can't be read.
    """
    if sha256 is not None and not (isinstance(sha256, str) and SHA256.fullmatch(sha256)):
        raise ValueError(f"sha256 must be 64 hexadecimal digits, got {sha256!r}; sha256sum FILE prints them")
    name = os.fspath(SHIPPED if path is None else path)
    # the package may lie in an archive, as it does where an engine sends it to its workers
    with files("detector").joinpath("model", SHIPPED.name).open("rb") if path is None else _opened(name) as file:
        verified = file if sha256 is None else _verified(file, name, sha256.lower())
        try:
            return _check(read_record(verified))
        except ModelError as error:
            raise ModelError(f"{name} is no usable model file: {error}. Make one with `consent-training fit`.") from error.__cause__


def _opened(path: str) -> IO[bytes]:
    """Open a regular file; what would wait for a writer, or has no end, is refused."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ModelError(f"{path} is no usable model file: it is a directory, a pipe or a device, expected a regular file")
    return os.fdopen(handle, "rb")


def _verified(file: IO[bytes], name: str, sha256: str) -> IO[bytes]:
    """What the file holds, if it has the digest."""
    raw = file.read(FILE_BYTES + 1)
    found = hashlib.sha256(raw).hexdigest() if len(raw) <= FILE_BYTES else f"that of more than {FILE_BYTES >> 20} MB"
    if found != sha256:
        raise ModelError(
            f"{name} is another model file: its SHA-256 is {found}, expected {sha256}; get the file again from where that digest comes from, "
            "or, if you trust this one, give its own"
        )
    return io.BytesIO(raw)


def _array(record: Mapping[str, Any], name: str, dtype: str, shape: tuple[int, ...]) -> Any:
    array = record.get(name)
    if not isinstance(array, np.ndarray):
        raise ModelError(f"{name!r} is {type(array).__name__}, expected an array")
    if array.dtype.str != dtype or array.shape != shape:
        raise ModelError(f"{name!r} is {array.dtype.str} of shape {array.shape}, expected {dtype} of shape {shape}")
    if dtype == "<f8" and not np.isfinite(array).all():
        raise ModelError(f"{name!r} has values that are not finite")
    if dtype == "<f8" and np.abs(array).max(initial=0.0) > LARGEST:
        raise ModelError(f"{name!r} has values beyond {LARGEST:.0e}")
    return array


def _number(value: Any, name: str, least: float = -LARGEST, most: float = LARGEST) -> float:
    if type(value) is not float or not np.isfinite(value):
        raise ModelError(f"{name} is {_shown(value)}, expected a finite number")
    if not least <= value <= most:
        raise ModelError(f"{name} is {value!r}, expected {least:g} to {most:g}")
    return value


def _shown(value: Any) -> str:
    """A value for a message: nothing long."""
    return repr(value)[:60] if isinstance(value, (bool, int, float, str)) else type(value).__name__


def _are(value: Any, expected: Sequence[str]) -> bool:
    return isinstance(value, list) and all(type(x) is str for x in value) and value == list(expected)


def _n_passes(record: Mapping[str, Any], name: str) -> int:
    bias = record.get(name)
    n = len(bias) if isinstance(bias, np.ndarray) and bias.ndim == 1 else 1
    if not 1 <= n <= MAX_PASSES:
        raise ModelError(f"{name!r} has {n} passes, expected 1 to {MAX_PASSES}")
    return n


def _check(record: Any) -> Model:
    """Build the model of a decoded file, or say what is wrong with it."""
    if not isinstance(record, dict) or type(record.get("format")) is not str or record["format"] != FORMAT:
        raise ModelError(f"it does not say that it is a {FORMAT} model")
    version = record.get("version")
    if type(version) is not int or version != VERSION:
        raise ModelError(f"it has format version {_shown(version)}, this release reads {VERSION}")
    for name, features in (("context_features", FEATURES), ("piece_features", PIECE_FEATURES)):
        if not _are(record.get(name), features):
            raise ModelError(f"its {name.replace('_', ' ')} are not those of this release; fit it again")
    bits = record.get("bits")
    if type(bits) is not int or not 1 <= bits <= MAX_BITS:
        raise ModelError(f"'bits' is {_shown(bits)}, expected 1 to {MAX_BITS}")
    n = 1 << bits
    alone, thresholds, card = record.get("alone"), record.get("thresholds"), record.get("card")
    if not isinstance(alone, list) or len(alone) != len(Alone._fields):
        raise ModelError(f"'alone' is {_shown(alone)}, expected {len(Alone._fields)} numbers")
    if not isinstance(thresholds, dict) or set(thresholds) != set(THRESHOLDS):
        raise ModelError(f"'thresholds' is {_shown(thresholds)} of other names, expected {', '.join(THRESHOLDS)}")
    values = [_number(thresholds[name], f"threshold {name!r}", 0.0, 1.0) for name in THRESHOLDS]
    if values != sorted(values, reverse=True):
        raise ModelError(f"its thresholds {values} do not fall from {THRESHOLDS[0]} to {THRESHOLDS[-1]}")
    if not isinstance(card, dict):
        raise ModelError(f"'card' is {type(card).__name__}, expected a dict")
    squares = _array(record, "squares", "<u2", (n,))
    if not 1 <= squares.min() <= squares.max() <= LARGEST_SQUARE:
        raise ModelError(f"'squares' has values that are not from 1 to {LARGEST_SQUARE}")
    evidence = _array(record, "evidence", "<i4", (n,))
    packed = _array(record, "hot", "|u1", ((n + 7) // 8,))
    grid = _number(record.get("grid"), "'grid'", *GRID)
    n_context, n_pieces = _n_passes(record, "context_bias"), _n_passes(record, "pieces_bias")
    stages = {
        "bias": _number(record.get("bias"), "'bias'"),
        "alone": Alone(*(_number(value, "'alone'") for value in alone)),
        "context": _array(record, "context", "<f8", (n_context, len(FEATURES))),
        "context_bias": _array(record, "context_bias", "<f8", (n_context,)),
        "pieces": _array(record, "pieces", "<f8", (n_pieces, len(PIECE_FEATURES))),
        "pieces_bias": _array(record, "pieces_bias", "<f8", (n_pieces,)),
    }
    # all is checked before anything large is made
    idf = np.sqrt(squares / SQUARES_TO_ONE)
    weights = (evidence * grid / idf).astype(np.float32)
    hot = np.unpackbits(packed, count=n).astype(np.bool_)
    return Model(bits=bits, weights=weights, idf=idf.astype(np.float32), hot=hot, thresholds=thresholds, card=card, **stages)
