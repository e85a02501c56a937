"""Fit the piece stage: joined lines of labelled documents, cut and scored as prediction does, and a logistic regression over their pieces."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from detector.features import hash_lines
from detector.model import Model
from detector.pieces import PIECE_FEATURES, Expanded, cut_into_pieces, expand, layout_of_pieces, most_of_whole, piece_features, suspect_in_document
from training.dataset import LabelledDocument
from training.joining import JoinedDocument, hosts_by_language, join_all, join_some, unjoined
from training.pipeline import LINES_AT_ONCE, new_classifier

FIT_GATE: Final = -0.5
"""The piece stage is fitted on lines that reach this, more than prediction looks at (`detector.pieces.GATE`): their pieces teach the same."""
PIECE_C: Final = 0.1
"""Inverse regularisation strength of the piece stage."""
OWN_MORE: Final = 0.25
"""What a piece says itself counts so much more than the fit wants: the short sentences that are lost are those that only their neighbours speak for.
It was chosen on the folds that are quoted (`training/README.md`)."""
JOINED_WEIGHT: Final = 5.0
"""Weight of pieces of lines that join consent text and sentences of an article; pieces of ordinary lines and of whole pages in one line abound."""
COMPOSED_WEIGHT: Final = 0.3
"""Weight of pieces of composed documents where there are real pages: with 1 and more of them, twice as many pure consent lines of pages were cut."""
USUAL_CHARACTERS: Final = 100
"""A piece of so many characters weighs 1, a shorter or longer one in proportion, within these bounds:"""
LEAST_WEIGHT, MOST_WEIGHT = 0.2, 5.0
SEEDS: Final = 3
"""Joined copies of each real page that has consent text."""
AS_IT_IS: Final = 5
IN_ONE_LINE: Final = 2
"""One in so many real pages without consent text is also taken as it is (with it, each), and one in so many of all in one line."""
COMPOSED: Final = (500, 500, 500)
"""Composed documents of a fold that are joined in part, in one line, and taken as they are, at most."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PieceRows:
    """Lines and pieces of joined documents, scored by a paragraph stage that was not trained on their sites.

    Attributes
    ----------
    rows : Expanded
    line_log_odds, line_in_document, line_n_tokens : ndarray, shape (n_lines,)
    boilerplate, article, known : ndarray of float64, shape (n_pieces,)
        Characters of each piece that have the label. `known` is every label but "unsure".
    weight : ndarray of float64, shape (n_pieces,)
    total_article : int
        Characters of article text in all lines, cut or not.
    """

    rows: Expanded
    line_log_odds: Floats
    line_in_document: Floats
    line_n_tokens: NDArray[np.intp]
    boilerplate: Floats
    article: Floats
    known: Floats
    weight: Floats
    total_article: int


def joined_documents(documents: Sequence[LabelledDocument], *, measured: bool, seed: int) -> dict[str, list[JoinedDocument]]:
    """Documents to fit the piece stage on: as they are, joined in part, in one line."""
    consent = [d for d in documents if any(p.label == "boilerplate" for p in d.paragraphs)]
    if measured:
        some = [j for k in range(SEEDS) for d in consent if (j := join_some(d, seed + k))]
        return {
            "as it is": [unjoined(d) for d in [*consent, *[d for d in documents if all(p.label != "boilerplate" for p in d.paragraphs)][::AS_IT_IS]]],
            "joined": some,
            "in one line": [join_all(d, seed) for d in documents[::IN_ONE_LINE]],
        }
    rng = random.Random(seed)
    rng.shuffle(consent)
    hosts = hosts_by_language(documents)
    n_joined, n_whole, n_plain = COMPOSED
    return {
        "as it is": [unjoined(d) for d in rng.sample(list(documents), min(n_plain, len(documents)))],
        "joined": [j for d in consent[:n_joined] if (j := join_some(d, seed, hosts.get(d.lang, ())))],
        "in one line": [join_all(d, seed) for d in consent[n_joined : n_joined + n_whole]],
    }


def score_joined(model: Model, documents: Mapping[str, Sequence[JoinedDocument]], weight: float = 1.0) -> PieceRows:
    """Cut the lines of joined documents as prediction does, and count the characters of each label in each piece."""
    flat = [(name, document) for name, some in documents.items() for document in some]
    lines = [(name, line) for name, document in flat for line in document.lines]
    scores, suspects, words = [np.empty(0)], [np.empty(0, np.bool_)], [np.empty(0, np.intp)]
    for start in range(0, len(lines), LINES_AT_ONCE):
        hashed = hash_lines("\n".join(line.text for _, line in lines[start : start + LINES_AT_ONCE]), model.bits)
        some, suspect = model.log_odds_and_suspects(hashed, FIT_GATE, np.inf)
        scores.append(some)
        suspects.append(suspect)
        words.append(np.diff(hashed.tokens))
    log_odds, n_tokens = np.concatenate(scores), np.concatenate(words)
    bounds = np.cumsum([0, *[len(document.lines) for _, document in flat]])
    in_document = model.log_odds_in_context(log_odds, n_tokens, bounds)
    cut = np.flatnonzero(np.concatenate(suspects) | suspect_in_document(log_odds, in_document, n_tokens))
    found = cut_into_pieces(model, [lines[i][1].text for i in cut.tolist()])
    in_document[cut] = np.minimum(in_document[cut], most_of_whole(log_odds[cut], found))
    rows = expand(log_odds, n_tokens, bounds, cut, found)
    pieces = np.flatnonzero(rows.is_piece)
    ends = np.append(np.where(rows.line[1:] == rows.line[:-1], rows.start[1:], -1), -1)[pieces]
    counts = np.zeros((3, len(pieces)))  # boilerplate, article, known
    weights = np.zeros(len(pieces))
    for i, (start, end, number) in enumerate(zip(rows.start[pieces].tolist(), ends.tolist(), rows.line[pieces].tolist(), strict=True)):
        name, line = lines[number]
        counts[:, i] = line.characters(start, end if end >= 0 else len(line.text))
        size = float(np.clip(counts[2, i] / USUAL_CHARACTERS, LEAST_WEIGHT, MOST_WEIGHT))
        weights[i] = weight * size * (JOINED_WEIGHT if name == "joined" and len(line.parts) > 1 else 1.0)
    article = sum(len(p.text) for _, line in lines for p in line.parts if p.label == "article")
    return PieceRows(rows, log_odds, in_document, n_tokens, counts[0], counts[1], counts[2], weights * (counts[2] > 0), article)


def fit_piece_stage(parts: Sequence[PieceRows], passes: int) -> tuple[Floats, Floats]:
    """Fit the passes of the piece stage.

    Returns
    -------
    coefficients : ndarray of float64, shape (n_passes, n_piece_features)
    biases : ndarray of float64, shape (n_passes,)
    """
    coefficients, biases = [], []
    refined = [part.rows.log_odds[part.rows.is_piece] for part in parts]
    for _ in range(passes):
        columns = [_columns(part, best) for part, best in zip(parts, refined, strict=True)]
        x = np.vstack([column[part.weight > 0] for column, part in zip(columns, parts, strict=True)])
        y = np.concatenate([(part.boilerplate > part.known / 2)[part.weight > 0] for part in parts])
        weight = np.concatenate([part.weight[part.weight > 0] for part in parts])
        if y.all() or not y.any():  # too little text to have joined lines of both labels: pieces keep the log-odds of their own
            return np.tile(np.array(PIECE_FEATURES) == "own", (passes, 1)).astype(np.float64), np.zeros(passes)
        scaler = StandardScaler().fit(x)
        classifier = new_classifier(PIECE_C).fit(scaler.transform(x), y, weight)
        coefficient = classifier.coef_[0] / scaler.scale_
        coefficients.append(coefficient)
        biases.append(float(classifier.intercept_[0] - coefficient @ scaler.mean_))
        refined = [column @ coefficient + biases[-1] for column in columns]
    coefficients[-1][PIECE_FEATURES.index("own")] += OWN_MORE
    return np.array(coefficients), np.array(biases)


def apply_piece_stage(coefficients: Floats, biases: Floats, part: PieceRows) -> Floats:
    """Log-odds of the pieces."""
    refined = part.rows.log_odds[part.rows.is_piece]
    for coefficient, bias in zip(coefficients, biases, strict=True):
        refined = _columns(part, refined) @ coefficient + bias
    return refined


def _columns(part: PieceRows, refined: Floats) -> Floats:
    layout = layout_of_pieces(part.rows)
    return np.column_stack(list(piece_features(part.rows, layout, refined, part.line_log_odds, part.line_in_document, part.line_n_tokens)))


def match_shares(log_odds: Floats, article: Floats, total: float, shares: Sequence[float], wanted: Sequence[float]) -> tuple[float, float]:
    """Scale and offset after which the cuts that lose two shares of the article characters are at two wanted log-odds.

    Parameters
    ----------
    log_odds, article : ndarray of float64, shape (n_pieces,)
        Of each piece, and its characters of article text.
    total : float
        Characters of article text, those of lines that were not cut among them.
    shares, wanted : sequence of two floats
        Shares that may be lost, and the log-odds at which they shall be.
    """
    order = np.argsort(-log_odds, kind="stable")
    lost = np.cumsum(article[order])
    cuts = [float(log_odds[order[min(int(np.searchsorted(lost, share * total, side="right")), len(order) - 1)]]) for share in shares]
    scale = (wanted[0] - wanted[1]) / (cuts[0] - cuts[1]) if cuts[0] > cuts[1] else 1.0
    scale = float(np.clip(scale, 0.2, 5.0))
    return scale, wanted[0] - scale * cuts[0]
