"""Load the model files named on standard input, one after another, and report on each as a line of JSON: a process of its own, watched by an audit hook.

For each: what came of it, seconds of the processor, how much the memory grew at its highest, and what the interpreter was asked to do meanwhile that
loading a model has no need of.
"""

from __future__ import annotations

import copyreg
import gc
import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from detector import Detector, ModelError

ALLOWED = {"object.__getattr__", "object.__setattr__", "object.__delattr__", "sys._getframe", "code.__new__", "builtins.id", "array.__new__"}
"""Events that plain Python raises all the time."""
SECONDS = 20
"""After so long a file is given up: it hangs."""
TEXTS = (
    "",
    "OK",
    "The harbour reopens on Monday.\n\nWe and our 214 partners use cookies to personalise ads.\nAccept allReject all\n",
    "The lighthouse keeper retired in May after forty years on the rock. We use cookies to measure visits and to show you personalised ads.\n",
    "クッキーを使用しています。 \ud800\u2028\x00 " * 9,
)
watched: list[str] = []
expected = ""


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Take note of what is neither allowed nor the reading of the file itself."""
    if not expected or event in ALLOWED:
        return
    if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and (isinstance(arguments[0], int) or arguments[0] == expected):
        return  # by its name, and then by its number
    watched.append(f"{event}{arguments}"[:200])


def peak_megabytes() -> float:
    """Highest resident memory since it was last asked for, in MB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def resident_megabytes() -> float:
    """Resident memory now."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def results_of(detector: Detector) -> tuple[bool, str]:
    """Whether all scores of some documents are finite numbers and no text is lost, and the scores."""
    documents = detector.filter_batch(list(TEXTS))
    explanations = [e for text in TEXTS for e in detector.explain(text)]
    values = [p.probability for d in documents for p in d.paragraphs] + [e.log_odds for e in explanations]
    texts = ["".join(p.text for p in d.paragraphs) for d in documents]
    is_right = bool(np.isfinite(values).all()) and texts == list(TEXTS) and bool(np.isfinite(detector.predict_proba(TEXTS)).all())
    return is_right, " ".join(value.hex() for value in values)


def load(path: str) -> dict[str, Any]:
    """Load a file and say what came of it."""
    global expected  # noqa: PLW0603 - the audit hook can't be told otherwise
    gc.collect()
    modules = set(sys.modules)
    before = resident_megabytes()
    peak_megabytes()
    watched.clear()
    start = time.process_time()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    expected = path
    detector = None
    try:
        detector = Detector.load(path)
        outcome, message = "loaded", ""
    except ModelError as error:
        outcome, message = "refused", str(error)
    except OSError as error:
        outcome, message = "system", str(error)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is reported
        outcome, message = "error", f"{type(error).__name__}: {error}"[:300]
    finally:
        expected = ""
        signal.setitimer(signal.ITIMER_REAL, 0)
    row = {"outcome": outcome, "message": message[:1000], "length": len(message), "seconds": time.process_time() - start}
    row["megabytes"] = peak_megabytes() - before
    row["events"] = [*watched, *(f"import of {name}" for name in set(sys.modules) - modules)]
    if detector:
        try:
            row["finite"], row["results"] = results_of(detector)
        except BaseException as error:  # noqa: BLE001 - as above
            row["finite"] = f"{type(error).__name__}: {error}"[:300]
    return row


def late(*_: object) -> None:
    """Stop what takes too long."""
    raise TimeoutError(f"still at it after {SECONDS} seconds")


def main() -> None:
    """Report on all files; the first must be good."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, late)
    sys.addaudithook(watch)
    paths = sys.stdin.read().splitlines()
    load(paths[0])
    gc.freeze()
    # a host may know extensions of pickle, and have used them
    copyreg.add_extension("os", "mkdir", 0xF0)
    copyreg._extension_cache[0xF0] = os.mkdir  # type: ignore[attr-defined]  # noqa: SLF001 - as pickle does
    for path in paths:
        print(json.dumps(load(path)), flush=True)


if __name__ == "__main__":
    main()
