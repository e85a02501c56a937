"""`training.packages`: packages fetched by name and version with a real client, checked, cached, read."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from training import cli
from training.dataset import DatasetError
from training.extract import Recipe
from training.packages import Package, PackageError, contents, fetch, fetch_all, read_pins, texts

TEXTS = {"banner": "We use cookies on this site", "notice": "You may withdraw your consent at any time"}


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A wheel in a folder that pip is told to look in."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    wheel = shelf / "notices-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("notices/en.json", json.dumps(TEXTS))
        archive.writestr("notices-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: notices\nVersion: 1.0\n")
        archive.writestr("notices-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("notices-1.0.dist-info/RECORD", "")
    recipe = Recipe("boilerplate", "json", r"notices/(?P<lang>\w+)\.json", kind="banner")
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return Package("notices", "PyPI", "1.0", sha256, "consent", "MIT", (recipe,), ("--no-index", f"--find-links={shelf}"))


def write_pins(path: Path, packages: list[Package]) -> Path:
    rows = [{**vars(p), "read": [vars(recipe) for recipe in p.read]} for p in packages]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def test_a_package_is_fetched_once_and_its_texts_are_taken(package: Package, tmp_path: Path) -> None:
    said: list[str] = []
    rows, skipped = fetch_all([package], tmp_path / "cache", said.append)
    assert [row["text"] for row in rows] == list(TEXTS.values())
    assert rows[0] == {"text": TEXTS["banner"], "label": "boilerplate", "lang": "en", "source": "notices", "kind": "banner"}
    assert not skipped
    unreachable = replace(package, options=("--no-index", f"--find-links={tmp_path / 'empty'}"))
    assert fetch_all([unreachable], tmp_path / "cache", said.append)[0] == rows
    assert said == ["notices 1.0 (PyPI): 2 consent texts, 2 texts in all, 1 languages"] * 2


def test_what_equals_the_english_of_its_package_was_never_translated(package: Package, tmp_path: Path) -> None:
    fetched = fetch(package, tmp_path / "cache")
    with zipfile.ZipFile(fetched, "a") as archive:
        archive.writestr("notices/fi.json", json.dumps({**TEXTS, "banner": "Tämä sivusto käyttää evästeitä"}))
    assert [(text.lang, text.text) for text in texts(package, fetched)] == [
        *(("en", text) for text in TEXTS.values()),
        ("fi", "Tämä sivusto käyttää evästeitä"),
    ]


def test_another_file_under_the_pinned_version_is_refused(package: Package, tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=f"its SHA-256 is {package.sha256}, pinned is 0000"):
        fetch(replace(package, sha256="0" * 64), tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_damaged_file_in_the_cache_is_fetched_again(package: Package, tmp_path: Path) -> None:
    path = fetch(package, tmp_path)
    path.write_bytes(b"damaged")
    assert hashlib.sha256(fetch(package, tmp_path).read_bytes()).hexdigest() == package.sha256


@pytest.mark.parametrize(("registry", "client"), [("npm", "npm"), ("Debian", "apt-get")])
def test_a_missing_client_is_a_named_warning(package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: str, client: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    rows, skipped = fetch_all([replace(package, registry=registry), package], tmp_path / "cache", said.append)
    assert skipped == [f"notices 1.0 ({registry}): there is no {client} on this machine"]
    assert said[0] == f"warning: skipped {skipped[0]}"
    assert len(rows) == 2


def test_what_the_registry_does_not_have_is_a_named_warning(package: Package, tmp_path: Path) -> None:
    _, skipped = fetch_all([replace(package, version="9.9")], tmp_path, lambda _: None)
    assert len(skipped) == 1
    assert skipped[0].startswith("notices 9.9 (PyPI): pip failed: ")


def test_tar_archives_are_read_and_others_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name in ("package/a.json", "package/b.bin"):
            member = tarfile.TarInfo(f"./{name}")
            member.size = 2
            tar.addfile(member, io.BytesIO(b"{}"))
    assert contents(path, [r"package/(?P<lang>\w)\.json", r"(?P<lang>x)"]) == {"package/a.json": b"{}"}
    broken = tmp_path / "broken"
    broken.write_bytes(path.read_bytes()[:-20])
    for data in (b"hello", path.read_bytes()[:-20]):
        broken.write_bytes(data)
        with pytest.raises(PackageError, match="its file can't be read"):
            contents(broken, ["package/.*"])


def test_the_command_writes_labelled_texts_and_counts_what_it_skipped(package: Package, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pins = write_pins(tmp_path / "pins.json", [package, replace(package, name="missing", sha256="1" * 64)])
    out = tmp_path / "texts.jsonl.gz"
    arguments = ["sources", "fetch", "--pins", str(pins), "--cache", str(tmp_path / "cache"), "-o", str(out)]
    assert cli.main(arguments) == 0
    rows = gzip.decompress(out.read_bytes()).decode().splitlines()
    assert [json.loads(row)["text"] for row in rows] == list(TEXTS.values())
    printed = capsys.readouterr()
    assert f"{out}: 2 texts of 1 packages; 1 skipped: missing 1.0 (PyPI): " in printed.out
    assert "warning: skipped missing 1.0 (PyPI)" in printed.err


def test_the_command_refuses_an_unknown_set_and_writes_nothing_without_texts(
    package: Package, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pins = write_pins(tmp_path / "pins.json", [replace(package, name="missing")])
    arguments = ["sources", "fetch", "--pins", str(pins), "--cache", str(tmp_path / "cache"), "-o", str(tmp_path / "out.jsonl")]
    assert cli.main([*arguments, "--sets", "prose"]) == 2
    assert "no package is in the set 'prose'; there are consent" in capsys.readouterr().err
    assert cli.main(arguments) == 2
    assert "none of the packages could be had; nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_a_file_that_holds_no_pins_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file or directory; run it in a checkout of the project, or give its pins with --pins"):
        read_pins(tmp_path / "pins.json")
    for text in ("{", "[{}]", '[{"name": "a"}]'):
        (tmp_path / "pins.json").write_text(text, encoding="utf-8")
        with pytest.raises(DatasetError, match="not a list of pinned packages"):
            read_pins(tmp_path / "pins.json")
