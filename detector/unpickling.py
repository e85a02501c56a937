"""Read a record of arrays, numbers, strings, lists and dicts out of a joblib file, without running anything and in bounded time and memory.

A joblib file is a compressed pickle with arrays in between, and a pickle is a programme. Of its instructions only those are carried out here that a
record needs; each of the three names that an array needs stands for a mark, and a mark can be put into an array's header and nothing else. A
list, dict or array is at one place of the record only, so that a small file can't stand for a large record, or for one without end. What is
unpacked comes a little at a time, and all but the arrays has `RECORD_BYTES` at most.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Callable
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

DTYPES: Final = ("<i4", "<u2", "<f8", "|u1")
FILE_BYTES: Final = 128 << 20
"""Largest file; the shipped model has 3 MB."""
ARRAY_BYTES: Final = 112 << 20
"""Most that the arrays may hold; those of the largest model have 103 MB, those of the shipped one 6."""
RECORD_BYTES: Final = 1 << 18
"""Most of everything else; in the shipped model it has 12 kB. Each byte may be an instruction, and so many are carried out in .3 to .6 s."""
DEEPEST: Final = 32
"""Lists and dicts in one another; a model's card has 5."""
PACKED_BYTES: Final = 1 << 16
UNPACKED_BYTES: Final = 1 << 18
"""So much is read, and unpacked, in one go."""


class ModelError(ValueError):
    """A model file that can't be used; the message says why."""


class _Source:
    """The unpacked bytes of a file, as they are asked for; every read gives as many as it asks for, or there is an error."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._stored_left = FILE_BYTES
        self._record_left = RECORD_BYTES
        self._inflate = zlib.decompressobj()
        self._ready = memoryview(b"")

    def _unpack(self) -> None:
        """Make some bytes ready, or none at the end of the data."""
        while not self._ready and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._file.read(PACKED_BYTES)
            if not self._inflate.unconsumed_tail:
                self._stored_left -= len(packed)
            if self._stored_left < 0:
                raise ModelError(f"it has more than {FILE_BYTES >> 20} MB")
            try:
                self._ready = memoryview(self._inflate.decompress(packed, UNPACKED_BYTES))
            except zlib.error as error:
                raise ModelError(f"it is not compressed with zlib, as models are ({error})") from error
            if not packed and not self._ready and not self._inflate.eof:
                raise ModelError("it ends too early: it was cut off")

    def fill(self, target: memoryview) -> None:
        """Fill an array."""
        while len(target):
            self._unpack()
            if not self._ready:
                raise ModelError("it ends too early: it was cut off")
            n = min(len(target), len(self._ready))
            target[:n] = self._ready[:n]
            target, self._ready = target[n:], self._ready[n:]

    def read(self, size: int) -> bytes:
        if size > self._record_left:
            raise ModelError(f"it holds more than {RECORD_BYTES >> 10} kB beside its arrays, or says so")
        self._record_left -= size
        data = bytearray(size)
        self.fill(memoryview(data))
        return bytes(data)

    def readline(self) -> bytes:
        line = b""
        while not line.endswith(b"\n") and len(line) < 1000:
            line += self.read(1)
        return line

    def end(self) -> None:
        """Make sure that the file ends here, and that its checksum is right."""
        self._unpack()
        if self._ready or self._inflate.unused_data or self._file.read(1):
            raise ModelError("it goes on after the end of its record")


class _Mark:
    """What a name of a file stands for; it can do nothing."""


WRAPPER, NDARRAY, DTYPE = _Mark(), _Mark(), _Mark()
NAMES: Final = {("joblib.numpy_pickle", "NumpyArrayWrapper"): WRAPPER, ("numpy", "ndarray"): NDARRAY, ("numpy", "dtype"): DTYPE}


class _Array:
    """The header of an array, whose bytes follow it."""


class _Instructions(dict[int, Callable[[Any], None]]):
    def __missing__(self, code: int) -> Callable[[Any], None]:
        raise ModelError(f"it has the pickle instruction {bytes([code])!r}, which a model has no use for; nothing of it was run")


_InPython: Any = pickle._Unpickler  # noqa: SLF001 - that in C has no instructions to choose from


class _Unpickler(_InPython):  # type: ignore[misc]  # typeshed does not say what it has
    dispatch = _Instructions(
        {
            code[0]: _InPython.dispatch[code[0]]
            for code in (
                *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.MEMOIZE),
                *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1, pickle.BINFLOAT),
                *(pickle.SHORT_BINUNICODE, pickle.BINUNICODE, pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
                *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS, pickle.EMPTY_DICT, pickle.STACK_GLOBAL, pickle.GLOBAL),
            )
        }
    )

    def __init__(self, source: _Source) -> None:
        super().__init__(source)
        self._source = source
        self._arrays_left = ARRAY_BYTES

    def find_class(self, module: str, name: str) -> Any:
        try:
            return NAMES[module, name]
        except KeyError:
            named = f"{module}.{name}"[:100]
            named = named if named.isprintable() else ascii(named)
            raise ModelError(f"it names {named}, which a model has no use for; nothing of it was run") from None

    def _get(self, number: int) -> None:
        value = self.memo[number]
        if not isinstance(value, (str, _Mark, np.dtype)):
            raise ModelError(f"it has a {type(value).__name__} at two places")
        self.append(value)

    def _load_binget(self) -> None:
        self._get(self.read(1)[0])

    def _load_long_binget(self) -> None:
        self._get(int.from_bytes(self.read(4), "little"))

    def _set(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(pairs) % 2 or not all(type(key) is str for key in pairs[::2]):
            raise ModelError("it sets something other than a field with a name")
        target.update(zip(pairs[::2], pairs[1::2], strict=True))

    def _load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _load_setitems(self) -> None:
        self._set(self.pop_mark())

    def _load_newobj(self) -> None:
        arguments, made = self.stack.pop(), self.stack.pop()
        if made is not WRAPPER or arguments != ():
            raise ModelError("it makes an object that is no array")
        self.append(_Array())

    def _load_reduce(self) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        code = arguments[0] if called is DTYPE and type(arguments) is tuple and arguments else None
        if type(code) is not str:
            raise ModelError(f"it calls a {type(called).__name__}, expected no call but of a dtype")
        if code not in {dtype[1:] for dtype in DTYPES}:
            raise ModelError(f"it names the dtype {code[:20]!r}, expected one of {', '.join(DTYPES)}")
        self.append(np.dtype(code).newbyteorder("<"))

    def _load_build(self) -> None:
        state, built = self.stack.pop(), self.stack[-1]
        if isinstance(built, np.dtype):  # the one that was made has all of its state: it can only be confirmed
            if state != (3, built.str[0], None, None, None, -1, -1, 0):
                raise ModelError(f"it has a dtype other than {', '.join(DTYPES)}")
        elif isinstance(built, _Array) and type(state) is dict:
            self.stack[-1] = self._array(state)
        else:
            raise ModelError(f"it changes a {type(built).__name__}")

    def _array(self, header: dict[str, Any]) -> NDArray[Any]:
        dtype, shape, order = header.get("dtype"), header.get("shape"), header.get("order")
        if not isinstance(dtype, np.dtype):
            raise ModelError(f"it has an array of dtype {type(dtype).__name__}, expected one of {', '.join(DTYPES)}")
        if type(shape) is not tuple or len(shape) not in (1, 2) or not all(type(n) is int and 0 <= n <= ARRAY_BYTES for n in shape):
            raise ModelError(f"it has an array whose shape is not one or two sizes from 0 to {ARRAY_BYTES}")
        if type(order) is not str or order not in ("C", "F"):
            raise ModelError("it has an array whose order is neither 'C' nor 'F'")
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        self._arrays_left -= size
        if self._arrays_left < 0:
            raise ModelError(f"it says that its arrays hold more than {ARRAY_BYTES >> 20} MB: {size} bytes in one")
        self._source.read(self._source.read(1)[0])  # so that the array begins at a multiple of 16 bytes
        array = np.empty(shape if order == "C" else shape[::-1], dtype)
        self._source.fill(memoryview(array.reshape(-1).view(np.uint8)))  # type: ignore[arg-type]  # numpy does not say that it is a buffer
        return array if order == "C" else array.T

    dispatch[pickle.BINGET[0]] = _load_binget
    dispatch[pickle.LONG_BINGET[0]] = _load_long_binget
    dispatch[pickle.SETITEM[0]] = _load_setitem
    dispatch[pickle.SETITEMS[0]] = _load_setitems
    dispatch[pickle.NEWOBJ[0]] = _load_newobj
    dispatch[pickle.REDUCE[0]] = _load_reduce
    dispatch[pickle.BUILD[0]] = _load_build


def read_record(file: IO[bytes]) -> Any:
    """Read the record of a file; nothing that it names is run.

    Parameters
    ----------
    file : file of bytes
        It must be at its end after the record.

    Returns
    -------
    object
        None, a bool, int, float, str or ndarray, or a list, tuple or dict of these, with str for keys.

    Raises
    ------
    ModelError
        If it holds anything else, is damaged, or is larger than a model may be.
    """
    source = _Source(file)
    try:
        record = _Unpickler(source).load()
    except ModelError:
        raise
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, MemoryError) as error:
        raise ModelError(f"it can't be decoded ({type(error).__name__}: {error})") from error
    source.end()
    _check_plain(record, DEEPEST)
    return record


def _check_plain(value: Any, deepest: int) -> None:
    if type(value) in (dict, list, tuple):
        if not deepest:
            raise ModelError(f"it has more than {DEEPEST} lists and dicts in one another")
        for inner in value.values() if type(value) is dict else value:
            _check_plain(inner, deepest - 1)
    elif type(value) not in (type(None), bool, int, float, str, np.ndarray):
        raise ModelError("it has a part that is no array, number, string, list or dict")
