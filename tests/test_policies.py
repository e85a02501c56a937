"""`detector.policies`: what is called a policy and speaks of nothing else is reported as one; an article about such things is not."""

from __future__ import annotations

import pytest

from detector import Detector

SHIPPED = Detector.load()
BODY = {
    "en": "We process the data that you enter in the contact form in order to answer you. The legal basis is your consent, which you may withdraw at any "
    "time. Our website uses cookies. Analytics cookies are set only if you agree; they tell us which pages are read.",
    "de": "Wir verarbeiten die Daten, die Sie im Kontaktformular eingeben, um Ihnen zu antworten. Rechtsgrundlage ist Ihre Einwilligung, die Sie "
    "jederzeit widerrufen können. Unsere Website verwendet Cookies. Analyse-Cookies werden nur gesetzt, wenn Sie zustimmen.",
}


@pytest.mark.parametrize(
    ("title", "lang"),
    [
        ("Privacy Policy", "en"),
        ("Hollin Rowing Club: privacy notice", "en"),
        ("Cookie Policy of Brackwater Books (March 2024)", "en"),
        ("Datenschutzerklärung", "de"),
        ("Datenschutzhinweise der Gärtnerei Sommer", "de"),
    ],
)
def test_a_policy_is_reported_and_its_text_is_the_callers_to_drop(title: str, lang: str) -> None:
    assert SHIPPED.filter(f"\n{title}\n\n{BODY[lang]}\n").verdict == "consent_only"


@pytest.mark.parametrize(
    "text",
    [
        f"Our rowing club and the rain\n{BODY['en']}\n",
        "Privacy policy\nThe otters were back on Sunday, three of them, and the water stood a hand below the jetty all day long.\n",
        "Messenger app's new privacy policy drives millions of its users to smaller rivals within a week, figures show\nNothing changes in Europe.\n",
        "Privacy policy\n",
        "",
    ],
    ids=["no title", "another text", "news about one", "a link alone", "nothing"],
)
def test_what_is_no_policy_is_not_reported(text: str) -> None:
    assert SHIPPED.filter(text).verdict != "consent_only"
