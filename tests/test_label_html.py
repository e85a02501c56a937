"""``consent-training label-html``: labels from the elements of saved web pages. All pages here are ours."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import sys
import tarfile
from html import escape as html_escape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import DATA
from tests.html_labels import measure
from training.cli import main
from training.containers import Rule, Rules, read_containers, words_of
from training.dataset import KINDS, DatasetError, read_documents
from training.facts import labels_of
from training.packages import Package, read_pins
from training.saved_pages import Page, decode, label_page

TABLES = read_containers(DATA / "containers.csv")
BODY = "".join(
    f"<p>The ferry to the northern islands sails {n} times a week, and the harbour office sells tickets on the quay.</p>" for n in range(9)
)
ARTICLE = f"<article><h1>Ferry timetable</h1>{BODY}</article>"
BANNER = "<p>We use cookies to count our readers.</p><button>Accept all</button><a href=/c>Settings</a>"


def label(html: str | bytes) -> Page:
    return label_page(html, TABLES)


def called(html: str | bytes, *labels: str) -> list[str]:
    return [line.text for line in label(html).lines if line.label in labels]


def test_a_managers_container_is_consent_text_main_content_article_and_the_rest_stays_in_place() -> None:
    page = label(
        f"<html lang=en-GB><body><header>Island News</header><nav>Home</nav>{ARTICLE}<div id=onetrust-banner-sdk>{BANNER}</div></body></html>"
    )
    assert [(line.label, line.text[:24]) for line in page.lines][:3] == [
        ("unsure", "Island News"),
        ("unsure", "Home"),
        ("article", "Ferry timetable"),
    ]
    assert [(line.label, line.kind, line.text) for line in page.lines][-3:] == [
        ("boilerplate", "banner", "We use cookies to count our readers."),
        ("boilerplate", "button", "Accept all"),
        ("boilerplate", "button", "Settings"),
    ]
    assert page.lang == "en"
    assert not page.refused


CONTAINERS = {
    "nested: the inner one gives the kind": ("<div id=onetrust-consent-sdk><div id=onetrust-pc-sdk><p>Always active</p></div></div>", ["preference"]),
    "hidden by its style": ('<div class=cky-consent-container style="display:none"><p>We value your privacy</p></div>', ["banner"]),
    "hidden by its attribute": ("<div id=didomi-host hidden aria-hidden=true><p>We and our 90 partners</p></div>", ["banner"]),
    "start of an id": ("<div id=sp_message_container_4711><p>Read on with ads</p></div>", ["banner"]),
    "attribute": ("<form><p><label for=wp-comment-cookies-consent>Remember me here</label></p></form>", ["form"]),
    "custom element": ("<csm-cookie-consent><p>We keep small files</p></csm-cookie-consent>", ["banner"]),
    "case of letters": ("<DIV ID=cybotcookiebotdialog><P>This website uses cookies</P></DIV>", ["banner"]),
    "generic name": ("<div class='js-siteCookieNotice__inner'><p>Wir nutzen Cookies auf dieser Seite.</p></div>", ["banner"]),
    "generic name in Greek letters": ("<div id=cookie-bar><p>Χρησιμοποιούμε cookies για την καλύτερη εμπειρία σας.</p></div>", ["banner"]),
    "a link alone": ("<a class=ot-sdk-show-settings>Cookie settings</a>", ["button"]),
    "lines by br": ("<div class=klaro>We use cookies.<br>You can say no.</div>", ["banner", "banner"]),
    "text beside the paragraphs": ("<div class=klaro>We use cookies.<p>You can say no.</p>Really.</div>", ["banner", "banner", "banner"]),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_are_taken(name: str) -> None:
    html, kinds = CONTAINERS[name]
    page = label(f"<body>{ARTICLE}{html}</body>")
    assert [line.kind for line in page.lines if line.label == "boilerplate"] == kinds


REFUSED = {
    "class on html": (f"<html class='cookie-banner klaro'><body>{ARTICLE}</body></html>", "is <html>"),
    "class on body": (f"<body class='cookie-notice'>{ARTICLE}</body>", "is <body>"),
    "around the main content": (f"<body><div class=cookie-consent-wrapper>{ARTICLE}</div></body>", "holds the main content"),
    "most of a page without main content": (f"<body><p>Islands</p><div class=cookie-policy>{BODY}</div></body>", "holds most of the page"),
    "most of the main content": (
        f"<body><main><h1>Our policy</h1><div id=cookie-declaration>{BODY}</div></main></body>",
        "holds most of the main content",
    ),
    "section of an article about banners": (
        ARTICLE.replace("</h1>", "</h1><section id=cookie-banner><p>A cookie banner covers the page until it is closed.</p></section>"),
        "has a generic name and no button",
    ),
    "anchor of a heading": (ARTICLE.replace("</h1>", "</h1><h2 id=cookie-consent>What a cookie consent is</h2>"), "is <h2> of a generic name"),
    "link to a notice": (
        f"<body>{ARTICLE}<footer><a class=cookie-notice>Cookie notice of this ferry line</a></footer></body>",
        "is <a> of a generic name",
    ),
    "link in a box": (f"<body>{ARTICLE}<div class=cookie-policy><a href=/c>Cookie policy</a></div></body>", "has a generic name and no button"),
    "a notice that only remembers itself in a cookie": (
        f"<body>{ARTICLE}<div class=cookie-notice><p>Have you seen our new timetable?</p><button>Look</button></div></body>",
        "has a generic name, and no word of consent in its text",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_containers_are_refused_where_their_name_is_that_of_something_else(name: str) -> None:
    html, why = REFUSED[name]
    page = label(html)
    assert not [line for line in page.lines if line.label == "boilerplate"]
    assert [reason for _, reason in page.refused] == [why] * len(page.refused)
    assert page.refused


def test_an_article_about_the_law_stays_article_whatever_its_ids() -> None:
    html = f"<article id=gdpr-fines class='post tag-cookies category-gdpr consent-news'><h1>A fine for a cookie banner</h1>{BODY}</article>"
    assert called(html, "boilerplate") == []
    assert called(html, "article")[0] == "A fine for a cookie banner"


def test_an_embeds_placeholder_inside_the_article_is_taken_and_its_caption_stays() -> None:
    embed = "<figure><div class=rcb-content-blocker><p>This map sets cookies.</p><button>Load it</button></div><figcaption>The new quay</figcaption></figure>"
    page = label(ARTICLE.replace("</h1>", f"</h1>{embed}"))
    assert [(line.label, line.kind, line.text) for line in page.lines][1:4] == [
        ("boilerplate", "embed", "This map sets cookies."),
        ("boilerplate", "embed", "Load it"),
        ("article", None, "The new quay"),
    ]


def test_a_banner_in_the_article_is_taken_where_it_has_a_button() -> None:
    assert (
        called(ARTICLE.replace("</h1>", f"</h1><div class=cookie-banner>{BANNER}</div>"), "boilerplate")[0] == "We use cookies to count our readers."
    )


@pytest.mark.parametrize("hidden", ["<div aria-hidden=true>{}</div>", "<div hidden>{}</div>", "<form>{}</form>"])
def test_main_content_that_a_dialogue_or_a_form_around_the_page_hides_is_article(hidden: str) -> None:
    assert len(called(f"<body>{hidden.format(ARTICLE)}<div class=klaro>{BANNER}</div></body>", "article")) == 10


def test_a_line_that_a_containers_edge_goes_through_is_left_out() -> None:
    html = f"<body>{ARTICLE}<footer><p>Imprint <a class=ot-sdk-show-settings>Cookie settings</a></p></footer></body>"
    assert called(html, "unsure") == ["Imprint Cookie settings"]


@pytest.mark.parametrize(
    "inside",
    [
        "<nav>Left out</nav>",
        "<aside>Left out</aside>",
        "<footer>Left out</footer>",
        "<form><p>Left out</p></form>",
        "<div class='comments-area'><p>Left out</p></div>",
        "<div class=related-articles>Left out</div>",
        "<div class=shareButtons>Left out</div>",
        "<p hidden>Left out</p>",
        '<div style="display: NONE">Left out</div>',
        "<div aria-hidden=true>Left out</div>",
        "<button>Left out</button>",
    ],
)
def test_what_is_no_content_inside_main_content_is_left_out(inside: str) -> None:
    html = ARTICLE.replace("</article>", f"{inside}</article>")
    assert called(html, "unsure") == ["Left out"]
    assert len(called(html, "article")) == 10


@pytest.mark.parametrize(
    "silent", ["<script>we use cookies</script>", "<noscript>No</noscript>", "<template>No</template>", "<input value=No>", "<!-- No -->"]
)
def test_what_is_no_text_gives_no_line(silent: str) -> None:
    assert called(f"<body>{ARTICLE}<div class=klaro>{silent}</div></body>", "boilerplate", "unsure") == []


@pytest.mark.parametrize(
    ("html", "n"),
    [
        (f"<div itemprop=articleBody>{BODY}</div><main><p>Other news of the day, in short.</p></main>", 9),
        (f"<div class=entry-content>{BODY}</div>", 9),
        (f"<div role=main>{BODY}</div>", 9),
        (f"<article>{BODY}</article><article>{BODY}</article><article>{BODY}</article>", 0),
        (f"<article><p>Teaser</p></article><main>{BODY}</main>", 9),
        (BODY, 0),
    ],
    ids=["surest first", "class", "role", "a list has none", "a teaser is none", "nothing marked"],
)
def test_main_content_is_what_the_page_marks_as_such(html: str, n: int) -> None:
    assert len(called(f"<body>{html}</body>", "article")) == n


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("<p>Fähre</p>".encode(), "Fähre"),
        (b"\xef\xbb\xbf" + "<p>Fähre</p>".encode(), "Fähre"),
        ("\ufeff<p>Fähre</p>".encode("utf-16-le"), "Fähre"),
        ("<p>Fähre “neu”</p>".encode("cp1252"), "Fähre “neu”"),
        ('<meta charset="iso-8859-1"><p>Fähre “neu”</p>'.encode("cp1252"), "Fähre “neu”"),
        ('<meta http-equiv=Content-Type content="text/html; charset=windows-1251"><p>Паром</p>'.encode("cp1251"), "Паром"),
        ('<meta charset="shift_jis"><p>連絡船</p>'.encode("shift_jis"), "連絡船"),
        ('<meta charset="iso-2022-jp"><p>連絡船</p>'.encode("iso-2022-jp"), "連絡船"),
        ('<meta charset="iso-8859-1"><p>Fähre</p>'.encode(), "Fähre"),
        ('<meta charset="no-such-charset"><p>Fähre</p>'.encode("cp1252"), "Fähre"),
        ('<meta charset="hex"><p>Fähre</p>'.encode("cp1252"), "Fähre"),
        (b"<?xml version='1.0' encoding='utf-8'?><html><p>Ferry\0 boat</p></html>", "Ferry boat"),
        (b"<p>A &amp; B&nbsp;&eacute;\r\n  C</p>", "A & B é C"),
    ],
)
def test_encodings(data: bytes, text: str) -> None:
    assert [line.text for line in label(data).lines] == [text]


@pytest.mark.parametrize("data", [b"", b" \n", b"<!-- nothing -->", b"\0", "<p>\ufeff</p>".encode(), b"<html></html>"])
def test_a_page_without_text_has_no_lines(data: bytes) -> None:
    assert label(data).lines == []


@pytest.mark.parametrize(
    "html",
    [
        "<p>a<div>b</p>c</div></p></p>",
        "<<<>>&&;</",
        "<table><p>x<tr><td>y",
        "<p a<b c='\ud800' 1=2 @click=x :y=z>x</p>",
        "<svg><p>x</p>",
        "<p>" * 5000 + "deep",
    ],
)
def test_broken_pages_are_read(html: str) -> None:
    assert all(line.text for line in label(html).lines)


def test_a_page_that_is_nested_thousands_deep_is_read() -> None:
    page = label("<div>" * 100_000 + "<p>deep</p>" + "</div>" * 100_000 + ARTICLE)
    assert {line.label for line in page.lines} <= {"unsure", "article"}


PIECES = [
    "<div class=klaro>",
    "<div>",
    "</div>",
    "<article>",
    "</article>",
    "<p>",
    "<br>",
    "<b>",
    "</b>",
    "cookies ",
    "a ferry ",
    "\n",
    "<script>",
    "</script>",
    "<td>",
]


@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_every_line_is_one_line_with_one_of_the_labels(pieces: list[str]) -> None:
    for line in label("".join(pieces)).lines:
        assert line.text == " ".join(line.text.split()) != ""
        assert line.label in ("article", "boilerplate", "unsure")
        assert (line.rule is None) == (line.label == "unsure")
        assert (line.kind in KINDS) == (line.label == "boilerplate")


@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    assert isinstance(decode(data), str)
    label(data)


@pytest.mark.parametrize(
    ("head", "site"),
    [
        ("<link rel=canonical href='https://www.ferries.example/a'>", "ferries.example"),
        ("<link rel=canonical href='/a'><meta property=og:url content='http://ferries.example/a'>", "ferries.example"),
        ("<!-- saved from url=(0027)https://ferries.example/x -->", "ferries.example"),
        ("<link rel=canonical href='http://['>", ""),
    ],
)
def test_the_site_is_what_the_page_says(head: str, site: str) -> None:
    assert label(f"<html><head>{head}</head><body>{ARTICLE}</body></html>").site == site


# the command


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "saved"
    (folder / "ferries.example").mkdir(parents=True)
    page = f"<html lang=de><body>{ARTICLE}<div id=didomi-host>{BANNER}</div></body></html>"
    (folder / "ferries.example" / "a.html").write_text(page, encoding="utf-8")
    (folder / "b.htm.gz").write_bytes(gzip.compress(page.replace("Ferry", "Boat").encode()))
    (folder / "c.html").write_bytes(gzip.compress(page.replace("Ferry", "Ship").encode()))
    (folder / "plain.html").write_text("<p>Nothing here says what it is.</p>", encoding="utf-8")
    (folder / "body.html").write_text("<body class=cookie-notice><p>Nothing here.</p></body>", encoding="utf-8")
    (folder / "notes.txt").write_text("no page", encoding="utf-8")
    return folder


def run(saved: Path, *arguments: str) -> list[dict[str, Any]]:
    output = saved.parent / "out.jsonl"
    assert main(["label-html", str(saved), *arguments, "-o", str(output)]) == 0
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]


def test_a_directory_becomes_labelled_documents_that_fit_reads(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = run(saved)
    assert sorted(Path(document["id"]).name for document in documents) == ["a.html", "b.htm.gz", "c.html"]
    assert {document["lang"] for document in documents} == {"de"}
    assert [document.get("site") for document in documents if document["id"].endswith("a.html")] == ["ferries.example"]
    read = read_documents([saved.parent / "out.jsonl"])
    assert [sum(p.label == "boilerplate" for p in document.paragraphs) for document in read] == [3, 3, 3]
    out = capsys.readouterr().out
    assert "         9       3  boilerplate  Didomi #didomi-host" in out
    assert "is <body>" in out
    assert "3 documents of 5 pages (3 with consent text, nothing taken on 2); 9 paragraphs boilerplate, 30 article" in out


def test_the_report_gives_counts_and_examples_of_each_rule(saved: Path) -> None:
    run(saved, "--report", str(saved.parent / "rules.json"))
    report = json.loads((saved.parent / "rules.json").read_text(encoding="utf-8"))
    notice, article, refused = report["rules"]
    assert (notice["rule"], notice["paragraphs"], notice["pages"]) == ("#didomi-host", 9, 3)
    assert notice["examples"] == ["We use cookies to count our readers.", "Accept all", "Settings"]
    assert (article["label"], article["rule"]) == ("article", "article")
    assert refused["label"] == "not taken: is <body>"
    assert report["counts"]["pages"] == 5
    run(saved, "--report", str(saved.parent / "rules.tsv"))
    with open(saved.parent / "rules.tsv", encoding="utf-8", newline="") as file:
        assert [row["rule"] for row in csv.DictReader(file, delimiter="\t")][:2] == ["#didomi-host", "article"]


def test_a_report_of_another_kind_is_refused_before_the_work(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label-html", str(saved), "-o", str(saved / "out.jsonl"), "--report", "rules.xlsx"]) == 2
    assert "rules.xlsx: expected a name that ends in .json or .tsv" in capsys.readouterr().err
    assert not (saved / "out.jsonl").exists()


def test_jsonl_with_html_in_a_field(tmp_path: Path) -> None:
    html = f"<body>{ARTICLE}<div class=klaro>{BANNER}</div></body>"
    (tmp_path / "crawl.jsonl").write_text(json.dumps({"url": "https://www.ferries.example/x", "page": html}) + "\n", encoding="utf-8")
    output = tmp_path / "out.jsonl.gz"
    assert main(["label-html", str(tmp_path / "crawl.jsonl"), "--html-field", "page", "-o", str(output)]) == 0
    (document,) = read_documents([output])
    assert document.group == "ferries.example"
    assert document.id == f"{tmp_path / 'crawl.jsonl'}:1"


def _record(kind: str, http: str, payload: bytes) -> bytes:
    body = http.encode() + b"\r\n\r\n" + payload
    return (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://ferries.example/x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
        + b"\r\n\r\n"
    )


def test_responses_of_a_warc_file(tmp_path: Path) -> None:
    ok, html = "HTTP/1.1 200 OK\r\nContent-Type: text/html", f"<body>{ARTICLE}<div class=klaro>{BANNER}</div></body>".encode()
    chunked = b"%x;x=y\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (9, html[:9], len(html) - 9, html[9:])
    records = [
        _record("request", "GET / HTTP/1.1", b""),
        _record("response", ok, html),
        _record("response", f"{ok}\r\nContent-Encoding: gzip", gzip.compress(html)),
        _record("response", f"{ok}\r\nTransfer-Encoding: chunked", chunked),
        _record("response", f"{ok}\r\nTransfer-Encoding: chunked", html),
        _record("response", "HTTP/1.1 404 Not Found\r\nContent-Type: text/html", html),
        _record("response", "HTTP/1.1 200 OK\r\nContent-Type: image/png", b"\x89PNG"),
    ]
    (tmp_path / "crawl.warc.gz").write_bytes(gzip.compress(b"".join(records)))
    assert main(["label-html", str(tmp_path), "-o", str(tmp_path / "out.jsonl")]) == 0
    documents = read_documents([tmp_path / "out.jsonl"])
    assert [document.id.rpartition(":")[2] for document in documents] == ["record 2", "record 3", "record 4", "record 5"]
    assert [(document.group, len(document.paragraphs)) for document in documents] == [("ferries.example", 13)] * 4


@pytest.mark.parametrize("on_error", ["stop", "skip"])
def test_what_cant_be_read_is_named(saved: Path, on_error: str, capsys: pytest.CaptureFixture[str]) -> None:
    (saved / "broken.html.gz").write_bytes(gzip.compress(b"<p>x</p>")[:-5])
    (saved / "rows.jsonl").write_text('{"text": "no html here"}\n', encoding="utf-8")
    code = main(["label-html", str(saved), "-o", str(saved.parent / "out.jsonl"), "--on-error", on_error])
    captured = capsys.readouterr()
    assert code == (0 if on_error == "skip" else 2)
    assert "broken.html.gz: can't be read" in captured.err
    if on_error == "skip":
        assert "rows.jsonl:1: no field 'html', only 'text'; name the text's field with --html-field" in captured.err
        assert "nothing taken on 2, 2 can't be read)" in captured.out
    else:
        assert not (saved.parent / "out.jsonl").exists()


def test_a_directory_without_pages_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label-html", str(tmp_path), "-o", str(tmp_path / "out.jsonl")]) == 2
    assert "no saved page (.html, .htm," in capsys.readouterr().err


def test_a_file_given_twice_is_one_document(saved: Path) -> None:
    assert len(run(saved, str(saved / "c.html"))) == 3


def test_what_an_earlier_run_wrote_is_no_page(saved: Path) -> None:
    for _ in range(2):
        assert main(["label-html", str(saved), "-o", str(saved / "labelled.jsonl")]) == 0
    assert len(read_documents([saved / "labelled.jsonl"])) == 3


def test_a_text_that_two_pages_label_differently_is_left_out_on_the_second(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "<p>{}</p><p>Cookies are small files that a page keeps on your device.</p><p>They last for as long as the page says, often a year.</p>"
    taken, content = (text.format("What are cookies, and how long do they stay?") for _ in range(2))
    (tmp_path / "a.html").write_text(f"<body>{ARTICLE}<div class=klaro>{taken}</div></body>", encoding="utf-8")
    (tmp_path / "b.html").write_text(f"<article>{BODY}{content}</article>", encoding="utf-8")
    assert main(["label-html", str(tmp_path), "-o", str(tmp_path / "out.jsonl")]) == 0
    assert "(2 of them contradicted another page)" in capsys.readouterr().out
    assert len(read_documents([tmp_path / "out.jsonl"])) == 2


def test_without_lxml_the_error_prints_the_line_for_pip(saved: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "lxml", None)
    assert main(["label-html", str(saved), "-o", str(saved.parent / "out.jsonl")]) == 2
    err = capsys.readouterr().err
    assert err == "consent-training: error: saved pages need lxml, which is not installed: pip install 'consent-text-detector[html]'\n"


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_between_tags_keeps_the_container_known(text: str, more: str) -> None:
    page = label(f"<body>{ARTICLE}<div class=klaro>{html_escape(text)}</div><p>{html_escape(more)}</p></body>")
    assert "".join(line.text for line in page.lines if line.label == "article").startswith("Ferry timetable")
    assert all(line.label != "boilerplate" or (line.rule is not None and line.rule.selector == ".klaro") for line in page.lines)


# the table


def test_words_of_a_generic_name() -> None:
    rules = Rules()
    rules.add(Rule("boilerplate", "generic", "banner", "~cookie|cookies + bar|notice ? js|my", 1))
    names = ["cookie-bar", "cookieNotice2", "js_cookie_bar", "MYCookiesNotice", "cookie", "cookie-bar-recipes", "cookiebar", "barcookie"]
    assert [rules.match("div", {"class": name}) is not None for name in names] == [True, True, True, True, False, False, False, False]
    assert words_of("x-1") == ("x",)


HEAD = "label,of,kind,selector\n"
BAD_TABLES = {
    HEAD + "boilerplate,X,banner,div > p\n": r"containers.csv:2: selector 'div > p', expected #id",
    HEAD + "boilerplate,X,advert,#a\n": "2: kind 'advert', expected one of banner",
    HEAD + "article,X,banner,#a\n": "2: kind 'banner', expected one of .* and none for others",
    HEAD + "good,X,,#a\n": "2: label 'good', expected one of boilerplate",
    HEAD + "article,X\n": "2: not 4 fields",
    "a,b\n": "its columns are",
}


@pytest.mark.parametrize("text", BAD_TABLES)
def test_a_bad_line_of_a_table_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "containers.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DatasetError, match=BAD_TABLES[text]):
        read_containers(path)


def test_a_table_of_ones_own(saved: Path) -> None:
    table = saved.parent / "mine.csv"
    table.write_text(HEAD + "boilerplate,Own,wall,#didomi-host\narticle,Own,,article\n", encoding="utf-8")
    kinds = {p.get("kind") for document in run(saved, "--containers", str(table)) for p in document["paragraphs"]}
    assert kinds == {None, "wall"}


def test_no_rule_of_the_shipped_table_is_given_twice() -> None:
    with open(DATA / "containers.csv", encoding="utf-8", newline="") as file:
        rules = [(row["label"], row["selector"].lower()) for row in csv.DictReader(file)]
    assert sorted(rules) == sorted(set(rules))


# hand labels


def test_figures_beside_hand_labels(tmp_path: Path) -> None:
    html = f"<body>{ARTICLE}<div class=klaro>{BANNER}</div><p>By using this site you agree to the terms.</p><p>Imprint</p></body>".encode()
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as tar:
        for name in ("package/a.html", "package/changed.html", "package/unjudged.html"):
            member = tarfile.TarInfo(name)
            member.size = len(html)
            tar.addfile(member, io.BytesIO(html))
    package = Package("pages", "npm", "1.0.0", "0", "tuned", "MIT", ())
    digest = hashlib.sha256("\n".join(line.text for line in label(html).lines).encode()).hexdigest()
    labels = "9a 1o 1b.banner 1a 1b.button 1b.banner 1u"
    facts = {("pages", f"package/{name}.html"): {"sha256": sha256, "labels": labels} for name, sha256 in (("a", digest), ("changed", "0"))}
    assert measure(package, tmp_path / "package.tgz", facts) == {
        "pages": 3,
        "pages with consent text": 3,
        "pages of other lines": 1,
        "article called, article": 9,
        "article called, other": 1,
        "article called, unjudged": 10,
        "boilerplate called, boilerplate": 2,
        "boilerplate called, article": 1,
        "boilerplate called, unjudged": 3,
        "unsure called, boilerplate": 1,
        "unsure called, unjudged": 3,
        "dialogues found": 2,
        "dialogues missed": 1,
    }


def test_the_committed_labels_are_of_pinned_packages() -> None:
    pinned = {package.name for package in read_pins(DATA / "html_packages.json")}
    with gzip.open(DATA / "html_labels.jsonl.gz", "rt", encoding="utf-8") as lines:
        facts = [json.loads(line) for line in lines]
    assert {fact["package"] for fact in facts} <= pinned
    assert sum(one.get("label") == "boilerplate" for fact in facts for one in labels_of(fact["labels"])) > 300
