"""Bad model files, made by code: what a stranger, a broken disk or a wrong download may put in the place of a model."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np

FLIPS = 2000
"""Places at which one bit is turned, in the file as it is stored and again in what it unpacks to."""
BYTES_OF_BOMB = 1 << 28
"""A quarter of a gigabyte of one instruction is packed into a quarter of a megabyte."""


class Hostile(NamedTuple):
    """A bad file: its kind, its name and its bytes; and whether it may load, as a model that gives finite results."""

    kind: str
    name: str
    raw: bytes
    may_load: bool = False


def text(value: str) -> bytes:
    """Instruction that puts a string on the stack."""
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw if len(raw) < 256 else b"X" + struct.pack("<I", len(raw)) + raw


def put(value: Any) -> bytes:  # noqa: PLR0911 - a table
    """Instructions that put a value on the stack."""
    match value:
        case bytes():
            return value
        case str():
            return text(value)
        case bool() | None:
            return {True: b"\x88", False: b"\x89", None: b"N"}[value]
        case int():
            raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(raw)]) + raw if len(raw) < 256 else b"\x8b" + struct.pack("<i", len(raw)) + raw
        case float():
            return b"G" + struct.pack(">d", value)
        case tuple():
            return b"(" + b"".join(map(put, value)) + b"t"
        case list():
            return b"](" + b"".join(map(put, value)) + b"e"
        case dict():
            return b"}(" + b"".join(put(key) + put(inner) for key, inner in value.items()) + b"u"
    raise TypeError(value)


def file_of(body: bytes) -> bytes:
    """A file of these instructions."""
    return zlib.compress(b"\x80\x04" + body + b".", 1)


def name(dotted: str) -> bytes:
    """Instruction that imports a name."""
    module, _, attribute = dotted.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def array(shape: Any, data: bytes = b"", dtype: bytes | None = None, order: Any = "C", **more: Any) -> bytes:
    """Instructions and bytes of an array."""
    state = {"subclass": name("numpy.ndarray"), "shape": shape, "order": order, "dtype": dtype or dtype_of("i4"), "allow_mmap": False}
    header = name("joblib.numpy_pickle.NumpyArrayWrapper") + b")\x81" + put({**state, "numpy_array_alignment_bytes": 16, **more}) + b"b"
    return header + b"\x00" + data


def dtype_of(code: str, byte_order: str = "<", state: tuple[Any, ...] | None = None) -> bytes:
    """Instructions that make a dtype."""
    return name("numpy.dtype") + put((code, False, True)) + b"R" + put(state or (3, byte_order, None, None, None, -1, -1, 0)) + b"b"


def bombs_of_one_instruction() -> Iterator[tuple[str, bytes]]:
    """A quarter of a gigabyte of the same."""
    for label, start, repeated, end in (
        ("zeros", b"", b"\x00", b""),
        ("None", b"", b"N", b""),
        ("marks", b"", b"(", b""),
        ("memoize", b"N", b"\x94", b""),
        ("lists", b"", b"]", b""),
        ("dicts", b"", b"}", b""),
        ("tuples in one another", b")", b"\x85", b""),
        ("empty strings", b"", b"\x8c\x00", b""),
        ("numbers", b"", b"K\x01", b""),
        ("frames", b"", b"\x95" + bytes(8), b""),
        ("one string", b"X\xff\xff\xff\x1f", b"a", b""),
        ("a line without end", b"c", b"a", b""),
        ("an array of bytes", array((BYTES_OF_BOMB,), dtype=dtype_of("u1", "|"))[:-1] + b"\x00", b"\x00", b""),
    ):
        packer = zlib.compressobj(1)
        part = repeated * ((1 << 20) // len(repeated))
        parts = [
            packer.compress(b"\x80\x04" + start),
            *(packer.compress(part) for _ in range(BYTES_OF_BOMB >> 20)),
            packer.compress(end),
            packer.flush(),
        ]
        yield label, b"".join(parts)


def gadgets(marker: str) -> Iterator[tuple[str, bytes]]:
    """Every instruction of pickle that imports or calls something, and what else changes objects; each makes a directory if it is run."""
    call = put((marker,))
    mkdir, wrapper = name("os.mkdir"), name("joblib.numpy_pickle.NumpyArrayWrapper")
    stack_global = text("os") + text("mkdir") + b"\x93"
    yield "GLOBAL and REDUCE", mkdir + call + b"R"
    yield "STACK_GLOBAL and REDUCE", stack_global + call + b"R"
    yield "STACK_GLOBAL of a dotted name", text("os") + text("path.os.mkdir") + b"\x93" + call + b"R"
    yield "INST", b"(" + f"S'{marker}'\n".encode() + b"ios\nmkdir\n"
    yield "OBJ", b"(" + mkdir + text(marker) + b"o"
    yield "NEWOBJ", name("subprocess.Popen") + put((["mkdir", marker],)) + b"\x81"
    yield "NEWOBJ_EX", name("subprocess.Popen") + put((["mkdir", marker],)) + b"}\x92"
    yield "NEWOBJ of an array header with arguments", wrapper + put((1, 2)) + b"\x81"
    yield "NEWOBJ of a string", text("os") + b")\x81"
    yield "BUILD of a module", name("os.environ") + put({"PATH": marker}) + b"b"
    yield "BUILD that changes the class of arrays", wrapper + b"N" + put({"read_array": name("numpy.ndarray"), "read": None}) + b"\x86b"
    yield "BUILD that changes a function", name("numpy.dtype") + b"N" + put({"__defaults__": (1,), "__kwdefaults__": {}}) + b"\x86b"
    yield (
        "BUILD that changes the dtype of all",
        name("numpy.dtype") + put(("i4", False, True)) + b"R" + put((3, ">", None, None, None, -1, -1, 0)) + b"b",
    )
    yield "BUILD of an array that is there", array((2,), bytes(8)) + put((1, (1 << 40,), dtype_of("i4"), False, "")) + b"b"
    yield "BUILD of a list", b"]" + put({"a": 1}) + b"b"
    for code, instruction in ((1, b"\x82\xf0"), (2, b"\x83\xf0\x00"), (4, b"\x84\xf0\x00\x00\x00")):
        yield f"EXT{code}", instruction + call + b"R"
    yield "PERSID", f"P{marker}\n".encode()
    yield "BINPERSID", text(marker) + b"Q"
    yield "NEXT_BUFFER", b"\x97"
    yield "READONLY_BUFFER", b"N\x98"
    yield "eval", name("builtins.eval") + put((f"__import__('os').mkdir({marker!r})",)) + b"R"
    yield "exec by getattr", name("builtins.getattr") + put((name("builtins.__import__"), "x")) + b"R"
    yield "numpy.load", name("numpy.load") + call + b"R"
    yield "joblib.load", name("joblib.load") + call + b"R"
    yield "a reconstructed object array", name("numpy._core.multiarray._reconstruct") + put((name("numpy.ndarray"), (0,), "b")) + b"R"
    yield "a name of our own", name("detector.persistence.save_model") + call + b"R"
    yield "a name with escapes for a terminal", text("\x1b]0;x\x07\u202e") + text("a") + b"\x93"
    yield "a very long name", text("a" * 450_000) + text("b") + b"\x93"
    yield "GLOBAL of no UTF-8", b"c\xff\xfe\n\xff\n"
    for field in ("card", "thresholds", "evidence", "format", "version"):
        yield f"a gadget in {field}", put({"format": "consent-text-detector", "version": 3, field: mkdir + call + b"R"})

    class Gadget:
        def __reduce__(self) -> tuple[Any, ...]:
            import os  # noqa: PLC0415 - the gadget's own

            return os.mkdir, (marker,)

    inner = np.array([Gadget(), 1], dtype=object)
    for label, value in {
        "an object array": inner,
        "nested object arrays": np.array([inner, 1], dtype=object),
        "a structured array of objects": np.array([(Gadget(), 1)], dtype=[("a", "O"), ("b", "i4")]),
    }.items():
        out = io.BytesIO()
        joblib.dump({"evidence": value}, out, protocol=4)
        yield label, out.getvalue()[2:-1]


def instructions() -> Iterator[tuple[str, bytes]]:
    """Instructions that a model has no use for, and lengths that lie."""
    huge = 1 << 36
    yield "BINBYTES8 of 64 GB", b"\x8e" + struct.pack("<Q", huge) + b"x"
    yield "BYTEARRAY8 of 64 GB", b"\x96" + struct.pack("<Q", huge) + b"x"
    yield "BYTEARRAY8 of all memory", b"\x96" + struct.pack("<Q", (1 << 63) - 1) + b"x"
    yield "BINUNICODE8 of 64 GB", b"\x8d" + struct.pack("<Q", huge) + b"x"
    yield "BINUNICODE of 4 GB", b"X" + b"\xff" * 4 + b"x"
    yield "BINBYTES of 4 GB", b"B" + b"\xff" * 4 + b"x"
    yield "BINSTRING of 2 GB", b"T\xff\xff\xff\x7f" + b"x"
    yield "BINSTRING of a negative length", b"T\xff\xff\xff\xff" + b"x"
    yield "FRAME of 64 GB", b"\x95" + struct.pack("<Q", huge) + b"N"
    yield "FRAME of all memory", b"\x95" + b"\xff" * 8 + b"N"
    yield "a frame in a frame", b"\x95" + struct.pack("<Q", 10) + b"\x95" + struct.pack("<Q", 1) + b"N"
    yield "LONG4 of 2 GB", b"\x8b\xff\xff\xff\x7f" + b"\x01"
    yield "LONG4 of a negative length", b"\x8b\xff\xff\xff\xff" + b"\x01"
    yield "LONG4 of 450 kB", b"\x8b" + struct.pack("<i", 450_000) + b"\x7f" * 450_000
    yield "LONG of a million digits", b"L" + b"9" * 1_000_000 + b"L\n"
    yield "INT of a million digits", b"I" + b"9" * 1_000_000 + b"\n"
    yield "FLOAT", b"F1e999\n"
    yield "STRING", b"S'a'\n"
    yield "UNICODE", b"Vabc\n"
    yield "PUT of all memory", b"Np999999999999\n"
    yield "LONG_BINPUT of 4 GB", b"Nr\xff\xff\xff\xff"
    yield "GET of what is not there", b"g7\n"
    yield "BINGET of what is not there", b"h\x07"
    yield "DUP laughs", b"]" + b"2(22222222e" * 12
    yield "DUP into itself", b"]2a"
    yield "POP_MARK", b"(1N"
    yield "FROZENSET", b"(\x91"
    yield "ADDITEMS", b"\x8f(N\x90"
    yield "PROTO 255", b"\x80\xff"
    yield "PROTO 5", b"\x80\x05N"
    yield "an instruction that there is not", b"\xfe"
    yield "STOP at once", b""
    yield "POP of nothing", b"a"
    yield "no STOP but the end", b"N"[:0] + b"("
    for code in range(256):
        yield f"instruction {code} on nothing", bytes([code])
        yield f"instruction {code} on a record", put({"format": "x"}) + bytes([code])
    for last in (b"s", b"u", b"a", b"e", b"b", b"R", b"\x81", b"t", b"\x85", b"\x93", b"\x94", b"h\x00"):
        for under in (b"N", b"]", b"}", b")", text("a"), name("numpy.ndarray"), dtype_of("i4"), array((2,), bytes(8)), b"K\x01"):
            yield f"{last!r} on {under[:12]!r}", under + b"(" + text("k") + text("v") + last


def laughs() -> Iterator[tuple[str, bytes]]:
    """Values that are small in a file and large, deep or endless in memory, or when they are compared, hashed or shown."""
    values = {
        # each tuple holds the one before twice, by the memo
        "a billion laughs": b")\x94" + b"".join(b"h" + bytes([i]) + b"\x86\x94" for i in range(60)),
        "tuples 450,000 deep": b")" + b"\x85" * 450_000,
        "lists 200,000 deep": b"]" * 200_000 + b"a" * 199_999,
        "a list in itself": b"]\x94h\x00a",
    }
    for label, value in values.items():
        yield f"{label}, as a key", b"}(" + value + b"Nu"
        yield f"{label}, as the record", value
        for field in ("card", "thresholds", "alone", "bits", "version", "format", "grid", "context_features", "evidence"):
            yield f"{label}, as {field}", put({"format": "consent-text-detector", "version": 3, field: value})
        yield f"{label}, as a shape", array(value)
        yield f"{label}, in a shape", array(b"(K\x02" + value + b"t")
        yield f"{label}, as a dtype", array((2,), bytes(8), value)
        yield f"{label}, as the state of a dtype", array((2,), bytes(8), name("numpy.dtype") + put(("i4", False, True)) + b"R" + value + b"b")
        yield f"{label}, in the call of a dtype", name("numpy.dtype") + b"(" + value + b"tR"
    yield "keys with one hash", b"}(" + b"".join(put(i * ((1 << 61) - 1)) + b"N" for i in range(1, 30_000)) + b"u"
    yield "50,000 fields", b"}(" + b"".join(text(f"{i:x}") + b"N" for i in range(50_000)) + b"u"
    yield "a string of 60 kB for everything", put(dict.fromkeys(("format", "version", "bits", "grid", "card", "alone"), "x" * 60_000))


def shapes() -> Iterator[tuple[str, bytes]]:
    """Array headers that lie."""
    sizes: dict[str, Any] = {
        "4 TB": (1 << 40,),
        "2**62 rows": (1 << 62, 2),
        "a product that wraps to 0": (1 << 32, 1 << 32),
        "negative": (-1,),
        "two negatives": (-1, -8),
        "no size": (),
        "a bool": (True,),
        "text": ("64",),
        "a float": (2.0,),
        "a list": [2],
        "None": None,
        "three sizes": (2, 2, 2),
        "a huge number": (1 << 2000,),
        "100 MB without data": (25 << 20,),
        "nothing": (0,),
        "nothing by 2**40": (0, 1 << 40),
        "64 sizes": (1,) * 64,
    }
    for label, shape in sizes.items():
        yield f"shape: {label}", put({"format": "consent-text-detector", "evidence": array(shape)})
    yield "shape: 300 arrays of 100 MB", put([array((25 << 20,)) for _ in range(300)])
    yield "shape: 20,000 arrays of nothing", b"](" + array((0,)) * 3000 + b"e"
    for order in ("F", "A", "", None, 1, "C" * 90_000):
        yield f"order: {str(order)[:4]}", put({"evidence": array((2, 2), bytes(16), order=order)})
    for code, mark in (
        *(
            ("O", "|"),
            ("O8", "|"),
            ("U9", "<"),
            ("S9", "|"),
            ("V9", "|"),
            ("M8[s]", "<"),
            ("c16", "<"),
            ("f4", "<"),
            ("f2", "<"),
            ("i8", "<"),
            ("b1", "|"),
        ),
        *(("i4", ">"), ("f8", ">"), ("u2", ">"), ("i4", "|"), ("i4,f8", "<"), ("(2,)i4", "<"), ("", "<"), ("x" * 90_000, "<"), ("f8", "=")),
    ):
        yield f"dtype: {mark}{code[:9]}", put({"evidence": array((2,), bytes(16), dtype_of(code, mark))})
    fields = ("a",), {"a": (dtype_of("i4"), 0)}
    yield "dtype: with fields", put({"evidence": array((2,), bytes(16), dtype_of("i4", "<", (3, "<", None, *fields, 4, 1, 0)))})
    yield "dtype: with metadata", put({"evidence": array((2,), bytes(16), dtype_of("i4", "<", (4, "<", None, None, None, -1, -1, 0, {"a": 1})))})
    yield "dtype: with a large item", put({"evidence": array((2,), bytes(16), dtype_of("i4", "<", (3, "<", None, None, None, 1 << 40, 1, 0)))})
    yield "subclass: a matrix", put({"evidence": array((2,), bytes(8), subclass=name("numpy.matrix"))})
    yield "alignment: not a number", put({"evidence": array((2,), bytes(8), numpy_array_alignment_bytes="x")})
    yield "header: nothing in it", name("joblib.numpy_pickle.NumpyArrayWrapper") + b")\x81}b"


Change = Callable[[dict[str, Any]], object]


def to(key: str, value: Any) -> Change:
    """Put another value into a field."""
    return lambda record: record.update({key: value})


def by(key: str, function: Callable[[Any], Any]) -> Change:
    """Put what a function makes of its value into a field."""
    return lambda record: record.update({key: function(record[key])})


def filled(key: str, value: float) -> Change:
    """Fill an array."""
    return lambda record: record[key].fill(value)


def without(key: str) -> Change:
    """Remove a field."""
    return lambda record: record.pop(key)


def changes_of_arrays(key: str, array: Any) -> Iterator[tuple[str, Change]]:
    """Other sizes, types and values."""
    yield "short", by(key, lambda a: a[:-1])
    yield "long", by(key, lambda a: np.concatenate((a, a)))
    yield "in another order", by(key, np.asfortranarray)
    yield "another byte order", by(key, lambda a: a.astype(a.dtype.newbyteorder(">")))
    yield "float32", by(key, lambda a: a.astype(np.float32))
    yield "zeros", filled(key, 0)
    if array.dtype.kind == "f":
        for number in (NAN, INF, -INF, MOST, -MOST, 1e7, 1e6, -1e6, 5e-324):
            yield str(number), filled(key, number)
    else:
        yield "all as large as can be", filled(key, np.iinfo(array.dtype).max)
        yield "all as small as can be", filled(key, np.iinfo(array.dtype).min)


NAN, INF, MOST = float("nan"), float("inf"), 1.7e308
OTHERS: dict[str, Any] = {
    **dict(
        zip(
            ("None", "a list", "a dict", "text", "0", "0.0", "-1", "True", "NaN", "infinite"),
            (None, [], {}, "x", 0, 0.0, -1, True, NAN, INF),
            strict=True,
        )
    ),
    "an array": np.zeros(3),
    "an array of nothing": np.zeros(0),
}
VALUES: dict[str, tuple[Any, ...]] = {
    "bias": (NAN, INF, -INF, MOST, 1e6, -1e6, 1e9, 5e-324, -0.0),
    "grid": (NAN, INF, -INF, MOST, -1.0, 1e9, 1e-9, 1e-300, 5e-324, -0.0),
    "alone": ([NAN, 0.0], [INF, 0.0], [1e308, 0.0], [1e6, -1e6], [0.0, 0.0], [1, 2], [0.9], [0.9, 0.1, 0.1]),
    "bits": (-1, 0, 1, 5, 7, 24, 25, 60, 1 << 40, 1 << 2000, 6.0),
    "version": (0, 1, 2, 4, 99, -3, "3", 3.0, None, 1 << 2000),
    "card": ({"a": b"x"}, {"a": np.zeros(9)}, {"a": {1}}, {"a": "x" * 2_000_000}, {1: 2}, json.loads('{"a":' * 200 + "1" + "}" * 200)),
    "thresholds": tuple(
        dict(zip(("precision", "balanced", "recall"), values, strict=True))
        for values in (
            *((0.1, 0.5, 0.9), (0.9, 0.9, 0.95), (NAN, NAN, NAN), (1.1, 0.5, 0.1), (0.9, 0.5, -0.1), (0.5, 0.5, 0.5), (1.0, 1.0, 0.0), (1, 0, 0)),
        )
    ),
}


def changes_of_records(good: dict[str, Any]) -> Iterator[tuple[str, Change]]:
    """What may be wrong with each field."""
    for key, value in good.items():
        yield f"{key}: missing", without(key)
        yield f"{key}: another case", lambda record, key=key: record.update({key.upper(): record.pop(key)})  # type: ignore[misc]
        for label, other in OTHERS.items():
            yield f"{key}: {label}", to(key, other)
        for other in VALUES.get(key, ()):
            yield f"{key}: {str(other)[:40]}", to(key, other)
        if isinstance(value, np.ndarray):
            yield from ((f"{key}: {label}", change) for label, change in changes_of_arrays(key, value))
    for n in (0, 1, 17, 5000):
        for key in ("context", "pieces"):
            size = good[key].shape[1]
            yield f"{key}: {n} passes", lambda record, n=n, key=key, size=size: record.update({key: np.ones((n, size)), f"{key}_bias": np.ones(n)})  # type: ignore[misc]
    yield "squares: one 0", lambda record: record["squares"].__setitem__(3, 0)
    yield "squares: beyond", lambda record: record["squares"].__setitem__(3, 8192)
    yield "squares: signed", by("squares", lambda a: -a.astype(np.int16))
    yield "evidence: one hot bucket as large as can be", put_largest
    yield "more fields", lambda record: record.update({f"more{i}": i for i in range(50)})


def put_largest(record: dict[str, Any]) -> None:
    """The largest evidence for a bucket that counts once in a line."""
    record["evidence"].fill(1)
    record["evidence"][0] = (1 << 31) - 1
    record["hot"][0] = 128


def changed(good: Path) -> Iterator[tuple[str, bytes]]:
    """Records with one thing changed; the model may load."""
    for label, change in changes_of_records(joblib.load(good)):
        record = joblib.load(good)
        change(record)
        out = io.BytesIO()
        joblib.dump(record, out, compress=("zlib", 1), protocol=4)
        yield label, out.getvalue()


def other_formats(good: bytes) -> Iterator[tuple[str, bytes]]:
    """Files that are no model, or are one in another wrapping."""
    plain = zlib.decompress(good)
    zipped, tarred, npz, npy = io.BytesIO(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model", plain)
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        entry = tarfile.TarInfo("model")
        entry.size = len(good)
        tar.addfile(entry, io.BytesIO(good))
    np.savez_compressed(npz, a=np.zeros(99))
    np.save(npy, np.array([{}], dtype=object), allow_pickle=True)
    zeros = bytes(1 << 24)
    gzip_bomb = gzip.compress(zeros, 9) * 32
    yield from {
        "nothing": b"",
        "one byte": b"\x78",
        "two bytes": b"\x78\xda",
        "JSON": b'{"format": "consent-text-detector", "version": 3}',
        "HTML": b"<!doctype html><title>404</title>" * 99,
        "an ELF header": b"\x7fELF\x02\x01\x01" + bytes(99),
        "Parquet": b"PAR1" + bytes(99) + b"PAR1",
        "text": b"We use cookies.\n" * 99,
        "UTF-16": "model".encode("utf-16"),
        "PNG": b"\x89PNG\r\n\x1a\n" + bytes(99),
        "PDF": b"%PDF-1.7\n" + bytes(99),
        "SQLite": b"SQLite format 3\x00" + bytes(99),
        "npz": npz.getvalue(),
        "npy of objects": npy.getvalue(),
        "safetensors": struct.pack("<Q", 1 << 60) + b"{}",
        "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3429627\n",
        "spaces": b" " * 99_999,
        "zip": zipped.getvalue(),
        "tar": tarred.getvalue(),
        "gzip": gzip.compress(plain),
        "bzip2": bz2.compress(plain),
        "xz": lzma.compress(plain),
        "lzma": lzma.compress(plain, lzma.FORMAT_ALONE),
        "not compressed": plain,
        "zlib in zlib": zlib.compress(good),
        "raw deflate": good[2:-4],
        "a plain pickle": pickle.dumps({"a": 1}, 0),
        "pickle protocol 0": zlib.compress(pickle.dumps({"format": "consent-text-detector"}, 0)),
        "pickle protocol 2": zlib.compress(pickle.dumps({"format": "x"}, 2)),
        "a gzip bomb of 512 MB": gzip_bomb,
        "a bzip2 bomb of 512 MB": bz2.compress(zeros) * 32,
        "an xz bomb of 512 MB": lzma.compress(zeros, preset=0) * 32,
        "twice": good + good,
        "with bytes behind it": good + b"x",
        "with zeros behind it": good + bytes(99),
        "with bytes before it": b"\n" + good,
        "a wrong checksum": good[:-1] + bytes([good[-1] ^ 1]),
        "no checksum": good[:-4],
        "bytes behind STOP": zlib.compress(plain + b"x"),
        "bytes of zeros behind STOP": zlib.compress(plain + zeros),
        "without STOP": zlib.compress(plain[:-1]),
        "100,000 empty blocks": b"\x78\x9c" + b"\x00\x00\x00\xff\xff" * 100_000,
        "a preset dictionary": zlib_with_dictionary(plain),
        "nothing, compressed": zlib.compress(b""),
    }.items()


def zlib_with_dictionary(plain: bytes) -> bytes:
    """Compressed with a dictionary that the reader has not."""
    packer = zlib.compressobj(zdict=b"consent-text-detector")
    return packer.compress(plain) + packer.flush()


def _unpacked(raw: bytes) -> bytes | None:
    try:
        return zlib.decompress(raw)
    except zlib.error:
        return None


def damaged(good: bytes, rng: random.Random, flips: int) -> Iterator[tuple[str, str, bytes, bool]]:
    """Cut off at each hundredth, and with single bits turned; as stored, and in what it unpacks to."""
    plain = zlib.decompress(good)
    for share in range(100):
        yield "cut off", f"stored, {share} %", good[: len(good) * share // 100], False
        yield "cut off, packed again", f"unpacked, {share} %", zlib.compress(plain[: len(plain) * share // 100], 1), False
    for i in range(flips):
        for kind, raw in (("a bit turned", good), ("a bit turned, packed again", plain)):
            place, bit = rng.randrange(len(raw)), 1 << rng.randrange(8)
            flipped = raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :]
            may_load = raw is plain or _unpacked(flipped) == plain  # there are bits that change nothing of what is unpacked
            yield kind, f"{i}: byte {place}, bit {bit}", flipped if raw is good else zlib.compress(flipped, 1), may_load
    for i in range(flips // 4):
        noise = rng.randbytes(rng.randrange(1, 400))
        yield "noise", str(i), noise, False
        yield "noise, packed", str(i), zlib.compress(noise, 1), False
        yield (
            "noise as instructions",
            str(i),
            file_of(bytes(rng.choice(b"()]}NK\x8c\x94\x85\x86\x87tusaebRc\x93\x81h\x95\x88\x89GJM\x8a") for _ in noise)),
            False,
        )


def large_models() -> Iterator[tuple[str, bytes]]:
    """Arrays as large as the largest model's, in the right places, and something wrong at the end."""
    n = 1 << 24
    zeros = zlib.compressobj(1)
    start = (
        b"\x80\x04" + b"}(" + b"".join(put(key) + put(value) for key, value in {"format": "consent-text-detector", "version": 3, "bits": 24}.items())
    )
    parts = [zeros.compress(start)]
    for key, dtype, size in (("evidence", dtype_of("i4"), 4), ("squares", dtype_of("u2"), 2), ("hot", dtype_of("u1", "|"), 0)):
        parts.append(zeros.compress(text(key) + array((n if size else n // 8,), b"", dtype)))
        parts += [zeros.compress(bytes(1 << 20)) for _ in range((n * size or n // 8) >> 20)]
    yield "the largest arrays, without the rest", b"".join([*parts, zeros.compress(b"u."), zeros.flush()])


def hostile_models(good: Path, marker: str, rng: random.Random, flips: int = FLIPS) -> Iterator[Hostile]:
    """All of them, one by one; `marker` is the directory that a gadget makes if it is run."""
    raw = good.read_bytes()
    for label, body in gadgets(marker):
        yield Hostile(f"gadget: {label}", label, file_of(body))
    for label, body in instructions():
        yield Hostile(
            "an instruction that a model has no use for" if label.startswith(("instruction", "b'")) else f"instruction: {label}", label, file_of(body)
        )
    for label, body in laughs():
        yield Hostile(f"value: {label.partition(', ')[0]}", label, file_of(body))
    for label, body in shapes():
        yield Hostile(label.partition(":")[0] + " of an array that lies", label, file_of(body))
    for label, packed in bombs_of_one_instruction():
        yield Hostile(f"bomb: {label}", label, packed)
    for label, packed in large_models():
        yield Hostile("arrays of 103 MB and a defect", label, packed)
    for label, packed in changed(good):
        yield Hostile(f"field: {label.partition(':')[0]}", label, packed, may_load=True)
    for label, packed in other_formats(raw):
        yield Hostile(f"file: {label}", label, packed)
    for kind, label, packed, may_load in damaged(raw, rng, flips):
        yield Hostile(kind, label, packed, may_load)
