"""What takes the time of filtering, compiled, where it was: half the time in all, a sixth for a short document, the same to the bit.

`scoring.c` is built with the package where there is a C compiler (`build.py`); without, numpy does the same. It is no extension module, so
one library serves every version of Python, and Python's lock is free while it works: threads that filter run side by side.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from detector.characters import CLASS_OF_CODE, FOLD_OF_CODE
from detector.context import DOUBTFUL, FEW, LIMIT, MIDDLE, ONE, OUTSIDE, PEAK, SHORT, WINDOWS, sums_of
from detector.features import KIND_MULTIPLIERS, LONGEST, MULTIPLIERS, PAIR

if TYPE_CHECKING:
    from detector.model import Model

SWITCH: Final = "CONSENT_DETECTOR_COMPILED"
"""Environment variable: where it is 0, the package is built without the library, and at run time numpy is used even if there is one."""
LIBRARY: Final = Path(__file__).with_name("scoring.so")
VERSION: Final = 1
"""Of `scoring.c`; a library of another version is left alone."""


class Settings(ctypes.Structure):
    """What `scoring.c` is told of a model, and of the constants of `detector.features`, `detector.model` and `detector.pieces`."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("table", "units", "class_of_code", "fold_of_code")),
        *((name, ctypes.c_double) for name in ("bias", "grid", "gate", "trough")),
        ("multipliers", ctypes.c_uint64 * len(MULTIPLIERS)),
        ("kind_multipliers", ctypes.c_uint64 * len(KIND_MULTIPLIERS)),
        *((name, ctypes.c_int64) for name in ("bits", "pair", "longest", "square_bits", "squares_to_one", "apart")),
        *((name, ctypes.c_int64) for name in ("peak_words", "trough_words", "least_words", "most_words")),
    )


class Paragraphs(ctypes.Structure):
    """What `scoring.c` is told of paragraphs in their documents, and of the constants of `detector.context`."""

    _fields_ = (
        ("n_rows", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("bounds", "rows", "n_tokens", "own", "refined", "lengths", "sums", "logarithms")),
        *((name, ctypes.c_double) for name in ("limit", "outside", "doubtful", "short", "few", "one")),
        ("windows", ctypes.c_int64 * len(WINDOWS)),
        *((name, ctypes.c_int64) for name in ("middle", "peak")),
    )


def _library() -> ctypes.CDLL | None:
    """The library, if one was built for this machine from this source, and is wanted."""
    if os.environ.get(SWITCH) == "0":
        return None
    try:
        library = ctypes.CDLL(str(LIBRARY))
        if library.consent_version() != VERSION:
            return None
    except (OSError, AttributeError):  # none there, for another machine, or no library of ours
        return None
    numbers, pointer, number = [ctypes.c_int64] * 2, ctypes.c_void_p, ctypes.c_double
    library.consent_count_newlines.argtypes, library.consent_count_newlines.restype = [ctypes.c_char_p, ctypes.c_int64], ctypes.c_int64
    library.consent_score_lines.argtypes = [ctypes.POINTER(Settings), ctypes.c_char_p, *numbers, *[pointer] * 3]
    library.consent_sums.argtypes = [ctypes.POINTER(Paragraphs), pointer]
    library.consent_context.argtypes = [ctypes.POINTER(Paragraphs), *[pointer] * 3, number, pointer]
    library.consent_sums.restype = library.consent_context.restype = None
    return library


COMPILED: Final = _library()
"""The library, or None."""


class Compiled:
    """What the library does for a model.

    Parameters
    ----------
    model : Model
        Of which the arrays are used where they lie; it must live as long as this.
    library : CDLL
    **numbers : int or float
        Other fields of `Settings`.
    """

    def __init__(self, model: Model, library: ctypes.CDLL, **numbers: float) -> None:
        pointers = {
            "table": model.table.ctypes.data,
            "units": model.units.ctypes.data,
            "class_of_code": CLASS_OF_CODE.ctypes.data,
            "fold_of_code": FOLD_OF_CODE.ctypes.data,
        }
        self._settings = Settings(
            **pointers,
            **numbers,
            multipliers=MULTIPLIERS,
            kind_multipliers=KIND_MULTIPLIERS,
            pair=PAIR,
            longest=LONGEST,
            bits=model.bits,
            bias=model.bias,
            grid=model.grid,
        )
        self._library = library
        self._score, self._count = library.consent_score_lines, library.consent_count_newlines

    def score_lines(self, text: bytes) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.intp], NDArray[np.bool_], NDArray[np.intp]]:
        r"""Score each line of UTF-8.

        Returns
        -------
        log_odds, suspect, n_tokens, blank : ndarray, shape (n_lines,)
            As `Model.log_odds_and_suspects` and `hash_lines` give them.
        newlines : ndarray of intp, shape (n_lines - 1,)
            Places of the line ends.
        """
        n = self._count(text, len(text)) + 1
        numbers = np.empty((3, n), np.int64)
        flags = np.empty((2, n), np.bool_)
        self._read(text, n, numbers.ctypes.data, flags.ctypes.data, None)
        return numbers[0].view(np.float64), flags[0], numbers[1], flags[1], numbers[2, :-1]

    def sums_of_lines(self, text: bytes) -> NDArray[np.int64]:
        """Sums of each line of UTF-8, as `Model.sums_of_lines` gives them, shape (n_lines, 6)."""
        sums = np.empty((self._count(text, len(text)) + 1, 6), np.int64)
        self._read(text, len(sums), None, None, sums.ctypes.data)
        return sums

    def context(
        self, own: NDArray[np.float64], n_tokens: NDArray[np.intp], bounds: NDArray[np.intp], rows: NDArray[np.intp] | None = None
    ) -> ContextScorer:
        """What weighs the features of paragraphs in their documents."""
        return ContextScorer(self._library, own, n_tokens, bounds, rows)

    def _read(self, text: bytes, n_lines: int, *arrays: int | None) -> None:
        if self._score(self._settings, text, len(text), n_lines, *arrays):
            raise MemoryError(f"no memory to score {len(text):,} bytes of text")


class ContextScorer:
    """Weighs the features of paragraphs in their documents with the library.

    Parameters
    ----------
    library : CDLL
    own, n_tokens, bounds : ndarray
        As in `Model.log_odds_in_context`.
    rows : ndarray of intp, shape (n_rows,), optional
        The paragraphs that are wanted, ascending; all by default.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        own: NDArray[np.float64],
        n_tokens: NDArray[np.intp],
        bounds: NDArray[np.intp],
        rows: NDArray[np.intp] | None = None,
    ) -> None:
        largest = int((bounds[1:] - bounds[:-1]).max(initial=0))
        arrays = {
            "bounds": np.ascontiguousarray(bounds, np.int64),
            "n_tokens": np.ascontiguousarray(n_tokens, np.int64),
            "own": np.ascontiguousarray(own, np.float64),
            "lengths": np.log1p(n_tokens),
            "logarithms": np.log1p(np.arange(largest + 1)),
        }
        if rows is not None:
            arrays["rows"] = np.ascontiguousarray(rows, np.int64)
        self._arrays = arrays  # so that they stay where they are
        self._n_rows = len(own) if rows is None else len(rows)
        self._library = library
        self._told = Paragraphs(
            **{name: array.ctypes.data for name, array in arrays.items()},
            limit=LIMIT,
            outside=OUTSIDE,
            doubtful=DOUBTFUL,
            short=SHORT,
            few=FEW,
            one=ONE,
            windows=WINDOWS,
            middle=MIDDLE,
            peak=PEAK,
            n_rows=self._n_rows,
        )

    def weigh(self, refined: NDArray[np.float64], weights: NDArray[np.float64], bias: float) -> NDArray[np.float64]:
        """Sum of the features of each row times their weights, and the bias.

        Parameters
        ----------
        refined : ndarray of float64, shape (n_paragraphs,)
            Best log-odds known so far, as in `detector.context.context_features`.
        weights : ndarray of float64, shape (n_features,)
        bias : float

        Returns
        -------
        ndarray of float64, shape (n_rows,)
        """
        refined = np.clip(refined, -LIMIT, LIMIT)
        weights, columns, result = np.ascontiguousarray(weights), np.empty((3, self._n_rows)), np.empty(self._n_rows)
        sums = sums_of(refined)
        self._told.refined, self._told.sums = refined.ctypes.data, sums.ctypes.data
        self._library.consent_sums(self._told, columns.ctypes.data)
        logarithms = np.log1p(columns)
        self._library.consent_context(self._told, columns.ctypes.data, logarithms.ctypes.data, weights.ctypes.data, bias, result.ctypes.data)
        return result
