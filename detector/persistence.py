"""Read and write model files: joblib files of plain arrays, numbers, strings, lists and dicts, which can run nothing.

A joblib file is a pickle with arrays in between. It is read here by joblib's own unpickler with every name refused but the three that an
array needs, and those resolve to stand-ins of this module; so a file that names anything else is refused before any of it is called.
"""

from __future__ import annotations

import io
import os
import pickle
import zlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler
from joblib.numpy_pickle import dump as joblib_dump

from detector.context import FEATURES
from detector.model import LARGEST_SQUARE, SQUARES_TO_ONE, THRESHOLDS, Model, squares_of
from detector.pieces import PIECE_FEATURES

FORMAT: Final = "consent-text-detector"
VERSION: Final = 3
"""Version of the file format; it grows when an older reader would misread the file."""
SHIPPED: Final = Path(__file__).parent / "model" / "consent.joblib"
"""The model that comes with the package."""
MAX_BYTES: Final = 256 << 20
"""Largest uncompressed model that is read; the shipped one has 9 MB. It keeps a few hostile bytes from filling the memory."""
COMPRESSION: Final = ("zlib", 6)
"""A level of 9 takes a second more, of two that adapting a model takes, and saves a hundredth."""
DTYPES: Final = ("<i4", "<u2", "<f8", "|u1")
MAX_BITS: Final = 24


class ModelError(ValueError):
    """A model file that can't be used; the message says why."""


class _Array(NumpyArrayWrapper):  # type: ignore[misc]  # joblib has no types
    """Joblib's array record, which reads only numbers, and only as many as the file can hold."""

    def read_array(self, unpickler: _Unpickler, ensure_native_byte_order: bool) -> Any:
        dtype, shape = getattr(self, "dtype", None), getattr(self, "shape", None)
        if not isinstance(dtype, np.dtype) or dtype.str not in DTYPES:
            raise ModelError(f"it has an array of dtype {dtype!r}, expected one of {', '.join(DTYPES)}")
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 2:
            raise ModelError(f"it has an array of shape {shape!r}, expected one or two sizes")
        size = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
        left = unpickler.size - unpickler.file_handle.tell()
        if size > left:
            raise ModelError(f"it has an array of {size} bytes where only {left} are left: it was cut off or forged")
        self.subclass = np.ndarray  # what the stand-in stood for: with numpy 1 joblib would make one of any other
        return super().read_array(unpickler, ensure_native_byte_order)


class _Ndarray:
    """Stands for the name numpy.ndarray, which an array record carries and which is never called."""


def _dtype(code: object, *_: object) -> np.dtype[Any]:
    if not isinstance(code, str) or code not in {d[1:] for d in DTYPES}:
        raise ModelError(f"it names the dtype {code!r}, expected one of {', '.join(DTYPES)}")
    return np.dtype(code)


class _Unpickler(NumpyUnpickler):  # type: ignore[misc]  # joblib has no types
    NAMES: Final = {
        ("joblib.numpy_pickle", "NumpyArrayWrapper"): _Array,
        ("numpy", "ndarray"): _Ndarray,
        ("numpy", "dtype"): _dtype,
    }

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        super().__init__("", io.BytesIO(data), ensure_native_byte_order=True)

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.NAMES[module, name]
        except KeyError:
            raise ModelError(f"it names {module}.{name}, which a model has no use for; nothing of it was run") from None


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model file; the same model gives the same bytes.

    The file is written under a temporary name beside the final one and renamed when it is complete.

    Parameters
    ----------
    model : Model
    path : str or path
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
        "card": model.card,
    }
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        joblib_dump(record, temporary, compress=COMPRESSION, protocol=4)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_model(path: str | os.PathLike[str] | None = None) -> Model:
    """Read a model file; nothing that it names is run.

    Parameters
    ----------
    path : str or path, optional
        The file; by default the model that comes with the package.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If the file names anything but arrays, is truncated or of another format or version, or holds arrays of the wrong shape or values
        that are not finite.
    FileNotFoundError, OSError
        If there is no such file, or it can't be read.
    """
    # the package may lie in an archive, as it does where an engine sends it to its workers
    raw = files("detector").joinpath("model", SHIPPED.name).read_bytes() if path is None else Path(path).read_bytes()
    try:
        return _check(_unpickle(_decompress(raw)))
    except ModelError as error:
        raise ModelError(f"{path or SHIPPED} is no usable model file: {error}. Make one with `consent-training fit`.") from error.__cause__


def _decompress(raw: bytes) -> bytes:
    decompressor = zlib.decompressobj()
    try:
        data = decompressor.decompress(raw, MAX_BYTES)
    except zlib.error as error:
        raise ModelError(f"it is not compressed with zlib, as models are ({error})") from error
    if decompressor.unconsumed_tail:
        raise ModelError(f"it holds more than {MAX_BYTES >> 20} MB")
    if not decompressor.eof:
        raise ModelError("it ends too early: it was cut off")
    return data


def _unpickle(data: bytes) -> Any:
    try:
        return _Unpickler(data).load()
    except ModelError:
        raise
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        OverflowError,
        MemoryError,
        RecursionError,
    ) as error:
        raise ModelError(f"it can't be decoded ({type(error).__name__}: {error})") from error


def _array(record: Mapping[str, Any], name: str, dtype: str, shape: tuple[int, ...]) -> Any:
    array = record.get(name)
    if not isinstance(array, np.ndarray):
        raise ModelError(f"{name!r} is {type(array).__name__}, expected an array")
    if array.dtype.str != dtype or array.shape != shape:
        raise ModelError(f"{name!r} is {array.dtype.str} of shape {array.shape}, expected {dtype} of shape {shape}")
    if not np.isfinite(array).all():
        raise ModelError(f"{name!r} has values that are not finite")
    return array


def _number(value: Any, name: str) -> float:
    if type(value) is not float or not np.isfinite(value):
        raise ModelError(f"{name!r} is {value!r}, expected a finite number")
    return value


def _check(record: Any) -> Model:
    """Build the model of a decoded file, or say what is wrong with it."""
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ModelError(f"it does not say that it is a {FORMAT} model")
    if record.get("version") != VERSION:
        raise ModelError(f"it has format version {record.get('version')!r}, this release reads {VERSION}")
    for name, features in (("context_features", FEATURES), ("piece_features", PIECE_FEATURES)):
        if record.get(name) != list(features):
            raise ModelError(f"its {name.replace('_', ' ')} are not those of this release; fit it again")
    bits = record.get("bits")
    if type(bits) is not int or not 1 <= bits <= MAX_BITS:
        raise ModelError(f"'bits' is {bits!r}, expected 1 to {MAX_BITS}")
    n = 1 << bits
    passes = {
        name: len(bias) if isinstance(bias := record.get(f"{name}_bias"), np.ndarray) and bias.ndim == 1 else 1 for name in ("context", "pieces")
    }
    alone, thresholds, card = record.get("alone"), record.get("thresholds"), record.get("card")
    if not isinstance(alone, list) or len(alone) != 2:
        raise ModelError(f"'alone' is {alone!r}, expected two numbers")
    if not isinstance(thresholds, dict) or set(thresholds) != set(THRESHOLDS):
        raise ModelError(f"'thresholds' is {thresholds!r}, expected {', '.join(THRESHOLDS)}")
    for name, value in thresholds.items():
        if not 0.0 <= _number(value, name) <= 1.0:
            raise ModelError(f"threshold {name!r} is {value!r}, expected 0 to 1")
    if not isinstance(card, dict):
        raise ModelError(f"'card' is {type(card).__name__}, expected a dict")
    squares = _array(record, "squares", "<u2", (n,))
    if not ((squares > 0) & (squares <= LARGEST_SQUARE)).all():
        raise ModelError(f"'squares' has values that are not from 1 to {LARGEST_SQUARE}")
    idf = np.sqrt(squares / SQUARES_TO_ONE)
    grid = _number(record.get("grid"), "grid")
    if not 1e-9 <= grid <= 1e9:
        raise ModelError(f"'grid' is {grid!r}, expected 1e-9 to 1e9")
    evidence = _array(record, "evidence", "<i4", (n,))
    packed = _array(record, "hot", "|u1", ((n + 7) // 8,))
    return Model(
        bits=bits,
        weights=(evidence * grid / idf).astype(np.float32),
        idf=idf.astype(np.float32),
        hot=np.unpackbits(packed, count=n).astype(np.bool_),
        bias=_number(record.get("bias"), "bias"),
        alone=(_number(alone[0], "alone"), _number(alone[1], "alone")),
        context=_array(record, "context", "<f8", (passes["context"], len(FEATURES))),
        context_bias=_array(record, "context_bias", "<f8", (passes["context"],)),
        pieces=_array(record, "pieces", "<f8", (passes["pieces"], len(PIECE_FEATURES))),
        pieces_bias=_array(record, "pieces_bias", "<f8", (passes["pieces"],)),
        thresholds=thresholds,
        card=card,
    )
