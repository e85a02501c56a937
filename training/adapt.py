"""Adapt a fitted model to new labels: logistic regression with the model's weights as prior mean.

With weights w0 of the model and, of each text, its TF-IDF row x, weight s and target t from 0 (article) to 1 (boilerplate), the shift d minimises

    sum(s * (log(1 + exp(z)) - t * z)) + 1/2 * sum(precision * d**2)        where z = x @ (w0 + d) + bias

which is the posterior mode under a normal prior around w0 (Bishop, Pattern Recognition and Machine Learning, 2006, 4.5.1). The bias stays: it
would move every text of every language. What the model was fitted on is gone, but its IDF says how many texts held each n-gram: the
precision of an n-gram grows with that number, as the curvature of the old likelihood did, so that new labels move what is new and leave what
is common.

Rows are kept as compressed blocks on disk from a size on, so that millions of paragraphs need little memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from detector.model import Model, weights_on_grid
from training.pipeline import C, OccurrenceTfidf, count_ngrams

RIDGE: Final = 1 / C
"""Precision of the weight of an n-gram that the model never met: as in a fit from scratch."""
REMEMBERED: Final = 0.005
"""Curvature that each text with an n-gram is taken to have added to the precision of its weight (`training/README.md`)."""
BASE_WEIGHT: Final = 0.1
"""Weight of a base text. With 1, a hundred thousand of them move what no label and none of them holds, to make up for what the labels moved: of
validation documents a recall fell by .002."""
MOST_STEPS: Final = 300
TOLERANCE: Final = 1e-4
"""The largest element of the gradient at which the fit stops."""
TEXTS_AT_ONCE: Final = 50_000
IN_MEMORY: Final = 20_000_000
"""So many counts are held in memory, about 160 MB; what is more lies in a temporary file."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def tfidf_of(model: Model) -> OccurrenceTfidf:
    """The model's TF-IDF as scikit-learn has it."""
    tfidf = OccurrenceTfidf()
    tfidf.idf_ = model.idf.astype(np.float64)
    tfidf.hot_ = model.hot
    return tfidf


def texts_with(model: Model) -> Floats:
    """Number of texts that held each n-gram when the model was fitted, shape (2**bits,): scikit-learn's IDF is log((1 + n) / (1 + df)) + 1."""
    idf = model.idf.astype(np.float64)
    result: Floats = np.maximum(np.exp(idf.max() - idf) - 1, 0.0)
    return result


@dataclass(frozen=True)
class Rows:
    """TF-IDF rows of texts, in blocks.

    Attributes
    ----------
    blocks : list of csr_matrix of float32
    bounds : list of int
        Block i has the rows ``bounds[i]:bounds[i + 1]``.
    on_disk : bool
        Whether any block is a file.
    """

    blocks: list[sp.csr_matrix]
    bounds: list[int]
    on_disk: bool = False

    @classmethod
    def of(cls, texts: Sequence[str], model: Model, folder: Path) -> Rows:
        """Count the n-grams of texts and weigh them; blocks beyond `IN_MEMORY` counts are files of `folder`, read as they are needed."""
        tfidf, blocks, bounds, held = tfidf_of(model), [], [0], 0
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            some = texts[start : start + TEXTS_AT_ONCE]
            block = tfidf.transform(count_ngrams(some, model.bits)[0]).astype(np.float32)
            held += block.nnz
            blocks.append(block if held <= IN_MEMORY else _on_disk(block, folder / f"{start}"))
            bounds.append(start + len(some))
        return cls(blocks, bounds, held > IN_MEMORY)

    def __iter__(self) -> Iterator[tuple[slice, sp.csr_matrix]]:
        """Each block with the rows that it holds."""
        for block, start, end in zip(self.blocks, self.bounds[:-1], self.bounds[1:], strict=True):
            yield slice(start, end), block

    def narrowed(self) -> tuple[NDArray[np.intp], Rows]:
        """The n-grams that occur, and the rows in terms of these; rows on disk stay as they are, with all n-grams."""
        n = self.blocks[0].shape[1] if self.blocks else 0
        if self.on_disk:
            return np.arange(n), self
        used = np.zeros(n, np.bool_)
        for block in self.blocks:
            used[block.indices] = True
        kept = np.flatnonzero(used)
        number = np.zeros(n, np.int32)
        number[kept] = np.arange(len(kept))
        return kept, Rows([sp.csr_matrix((b.data, number[b.indices], b.indptr), shape=(b.shape[0], len(kept))) for b in self.blocks], self.bounds)


def _on_disk(block: sp.csr_matrix, stem: Path) -> sp.csr_matrix:
    parts = []
    for name in ("data", "indices", "indptr"):
        np.save(f"{stem}.{name}.npy", getattr(block, name))
        parts.append(np.load(f"{stem}.{name}.npy", mmap_mode="r"))
    return sp.csr_matrix(tuple(parts), shape=block.shape, copy=False)


def adapt(model: Model, texts: Sequence[str], boilerplate: Flags, weight: Floats, base: Sequence[str] = (), remembered: float = REMEMBERED) -> Model:
    """Shift the weights of a model's paragraph stage towards new labels.

    Parameters
    ----------
    model : Model
    texts : sequence of str, length n_texts
    boilerplate : ndarray of bool, shape (n_texts,)
    weight : ndarray of float64, shape (n_texts,)
    base : sequence of str
        Texts whose probability shall stay what the model gives them: their target is that probability (Li and Hoiem, Learning without Forgetting,
        2016). A label of theirs would teach the model again what other sources taught it better.
    remembered : float
        Curvature of the prior for each text that held an n-gram; 0 forgets what the model was fitted on as fast as the labels want.

    Returns
    -------
    Model
        With other weights, and hot buckets where the new weights are as large as those of the old ones; all else is the same. Its card is the
        old one's.
    """
    with tempfile.TemporaryDirectory() as folder:
        rows = Rows.of([*texts, *base], model, Path(folder))
        shift = _shift(model, rows, boilerplate, np.append(weight, np.full(len(base), BASE_WEIGHT)), RIDGE + remembered * texts_with(model))
    weights = model.weights.astype(np.float64) + shift
    size = np.abs(weights * model.idf)
    least_hot = np.abs(model.weights * model.idf)[model.hot].min(initial=np.inf)
    hot = model.hot | (size >= least_hot)
    return replace(model, weights=weights_on_grid(weights, model.idf, hot).astype(np.float32), hot=hot)


def _shift(model: Model, rows: Rows, boilerplate: Flags, weight: Floats, precision: Floats) -> Floats:
    """The shift of all weights, shape (2**bits,); rows after those with labels keep their probability."""
    used, rows = rows.narrowed()
    # in units of the prior's own width the problem is round: a tenth of the steps
    width = (1 / np.sqrt(precision[used])).astype(np.float32)
    old = np.concatenate([np.empty(0), *(block @ model.weights[used] for _, block in rows)]) + model.bias
    target = np.append(boilerplate, expit(old[len(boilerplate) :]))

    def objective(shift: Floats) -> tuple[float, Floats]:
        loss, gradient = 0.5 * float(shift @ shift), shift.copy()
        wide = shift.astype(np.float32) * width
        for place, block in rows:
            z = old[place] + block @ wide
            loss += float(weight[place] @ (np.logaddexp(0.0, z) - target[place] * z))
            gradient += width * (block.T @ (weight[place] * (expit(z) - target[place])).astype(np.float32))
        return loss, gradient

    found: Any = minimize(
        objective, np.zeros(len(used)), jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS, "gtol": TOLERANCE, "ftol": 1e-9}
    )
    result = np.zeros(len(precision))
    result[used] = found.x * width
    return result
