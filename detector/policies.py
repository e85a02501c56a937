"""Is a document a privacy or cookie policy? Its title says so, and its text speaks of such things throughout.

Scores alone can't tell a policy from an article about cookies, so a title is asked for; what is not called a policy is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

TITLES: Final = tuple(
    title
    for titles in {
        "en": "privacy policy; privacy notice; privacy statement; cookie policy; cookies policy; cookie notice; cookie statement; "
        "data protection policy",
        "de": "datenschutzerklärung; datenschutzhinweise; datenschutzbestimmungen; datenschutzinformation; cookie-richtlinie; cookie-erklärung",
        "fr": "politique de confidentialité; déclaration de confidentialité; politique de cookies; politique relative aux cookies; politique cookies",
        "es": "política de privacidad; aviso de privacidad; política de cookies",
        "it": "informativa sulla privacy; informativa privacy; informativa sui cookie; informativa cookie",
        "nl": "privacyverklaring; privacybeleid; cookieverklaring; cookiebeleid",
        "pl": "polityka prywatności; polityka cookies; polityka plików cookie; polityka plików cookies",
        "pt": "política de privacidade; aviso de privacidade; política de cookies",
        "sv da nb": "integritetspolicy; sekretesspolicy; cookiepolicy; privatlivspolitik; cookiepolitik; personvernerklæring; "
        "retningslinjer for personvern",
        "fi et lv lt": "tietosuojaseloste; tietosuojakäytäntö; evästekäytäntö; privaatsuspoliitika; privaatsustingimused; privātuma politika; "
        "sīkdatņu politika; privatumo politika; slapukų politika",
        "cs sk hu": "zásady ochrany osobních údajů; zásady cookies; zásady používání cookies; zásady ochrany osobných údajov; "
        "adatkezelési tájékoztató; adatvédelmi tájékoztató; adatvédelmi szabályzat; süti szabályzat",
        "ro hr sl sr": "politica de confidențialitate; politica de cookies; politica cookies; pravila privatnosti; politika privatnosti; "
        "politika kolačića; politika zasebnosti; politika piškotkov; политика приватности",
        "bg ru uk": "политика за поверителност; политика за бисквитки; политика конфиденциальности; политика обработки персональных данных; "
        "політика конфіденційності",
        "el tr": "πολιτική απορρήτου; πολιτική cookies; gizlilik politikası; çerez politikası; kvkk aydınlatma metni",
        "ca gl eu": "política de privadesa; política de privacitat; política de galetes; pribatutasun-politika",
        "ja zh ko": "プライバシーポリシー; 個人情報保護方針; クッキーポリシー; 隐私政策; 隐私权政策; 隱私權政策; 隱私政策; "
        "개인정보 처리방침; 개인정보처리방침; 쿠키 정책",
        "ar he fa": "سياسة الخصوصية; سیاست حفظ حریم خصوصی; מדיניות פרטיות; מדיניות הפרטיות",
        "hi id ms vi th af": "गोपनीयता नीति; kebijakan privasi; kebijakan cookie; dasar privasi; chính sách bảo mật; chính sách quyền riêng tư; "
        "chính sách cookie; นโยบายความเป็นส่วนตัว; นโยบายคุกกี้; privaatheidsbeleid",
    }.values()
    for title in titles.split("; ")
)
"""What policies are called, by language, in small letters."""
TITLE_LINES: Final = 3
"""The title is one of so many first lines with text."""
TITLE_LETTERS: Final = 40
"""So many characters of its line may be something else: the company, the date."""
LONGEST_LINE: Final = 1000
LEAST_WORDS: Final = 6
NEAR: Final = -4.0
SHARE: Final = 0.5
"""At least this share of the words, in lines of `LEAST_WORDS` words and more, must stand in lines with so large log-odds of their own."""


def is_policy(text: str, log_odds: NDArray[np.float64], n_tokens: NDArray[np.intp]) -> bool:
    """Whether a document is a privacy or cookie policy.

    Parameters
    ----------
    text : str
        The document.
    log_odds, n_tokens : ndarray, shape (n_paragraphs,)
        Of the paragraph stage, and number of words, of each line with text.
    """
    if not any(map(_is_title, islice(_lines_with_text(text), TITLE_LINES))):
        return False
    words = np.where(n_tokens >= LEAST_WORDS, n_tokens, 0)
    return bool(words.any() and words[log_odds >= NEAR].sum() >= SHARE * words.sum())


def _lines_with_text(text: str) -> Iterator[str]:
    start = 0
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start : min(end, start + LONGEST_LINE)].strip()
        if line:
            yield line.casefold()
        start = end + 1


def _is_title(line: str) -> bool:
    return any((line.startswith(title) or line.endswith(title)) and len(line) <= len(title) + TITLE_LETTERS for title in TITLES)
