"""Build the wheel twice, look into it, install it alone in an empty environment elsewhere, filter a document with it, and adapt its model.

Where there is a C compiler the wheel has the compiled scoring, and a second one is built without it, for any machine, which filters a document too.

Run by ``make wheel``. The environment is kept and made anew only when the wheel's bytes change, so that a second run takes seconds.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

from build import ProjectBuilder
from build.env import DefaultIsolatedEnv
from pyproject_hooks import quiet_subprocess_runner

ROOT = Path(__file__).parent.parent
PAGE = "The harbour reopens on Monday, the council said.\n\nWe use cookies to personalise content and ads.\nAccept all cookies\n"
KEPT = "The harbour reopens on Monday, the council said.\n\n"
CASES = ("article", "boilerplate", "documents", "joined", "known_failures")
WHEEL = re.compile(
    r"detector/([a-z_]+\.py|adapters/[a-z_]+\.py|native/(__init__\.py|build\.py|scoring\.(c|so))|page/[a-z_]+\.(html|css|js)|model/consent\.(joblib|md)|py\.typed)"
    r"|training/([a-z_]+\.py|report\.html|README\.md|py\.typed)"
    r"|training/data/(README\.md|example\.txt|[a-z_]+\.(csv|json|jsonl\.gz)|(authored|validation)/[a-z]{2,3}\.jsonl|tutorial/[a-z]+\.jsonl)"
    rf"|training/data/cases/({'|'.join(CASES)})\.jsonl"
    r"|consent_text_detector-[\d.]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE)"
)
"""All that a wheel may hold."""
SDIST = re.compile(
    r"(detector|training|data|tests)/([\w-]+/)*[\w-]+(\.(py|c|typed|html|css|js|md|joblib|json|jsonl|jsonl\.gz|csv|txt|mjs))"
    r"|README\.md|CHANGELOG\.md|CONTRIBUTING\.md|SECURITY\.md|LICENSE|Makefile|pyproject\.toml|PKG-INFO|\.gitignore"
)
COMPILED = "detector/native/scoring.so"
NEEDED = {
    *("detector/py.typed", "detector/model/consent.joblib", "detector/model/consent.md", "detector/adapters/arrow.py", "training/report.html"),
    *("training/data/floors.json", "training/data/authored/en.jsonl", "training/data/validation/en.jsonl"),
    *(f"training/data/cases/{name}.jsonl" for name in CASES),
}


def built(env: DefaultIsolatedEnv, source: Path, to: Path) -> dict[str, Path]:
    """Sdist and wheel of a folder, and the wheel that the sdist gives."""
    builder = ProjectBuilder.from_isolated_env(env, source, runner=quiet_subprocess_runner)
    env.install(builder.build_system_requires)
    made = {kind: Path(builder.build(kind, str(to / kind))) for kind in ("sdist", "wheel")}
    with tarfile.open(made["sdist"]) as archive:
        archive.extractall(to / "unpacked", filter="data")
    (unpacked,) = (to / "unpacked").iterdir()
    builder = ProjectBuilder.from_isolated_env(env, unpacked, runner=quiet_subprocess_runner)
    return {**made, "wheel of the sdist": Path(builder.build("wheel", str(to / "again")))}


def copied(source: Path, to: Path) -> Path:
    """A copy without what git leaves out, of another age, with other permissions."""
    shutil.copytree(
        source, to, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", ".hypothesis")
    )
    for path in to.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (10**9, 10**9))
    return to


def strangers(names: Sequence[str], allowed: re.Pattern[str]) -> list[str]:
    """Files that are not on the list."""
    return [name for name in names if not allowed.fullmatch(name)]


def check_files(wheel: Path, sdist: Path) -> int:
    """Look at what they hold; returns how many files the wheel has."""
    names = [name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")]
    assert not strangers(names, WHEEL), f"the wheel holds what is not on the list: {strangers(names, WHEEL)}"
    assert set(names) >= NEEDED, f"the wheel lacks {sorted(NEEDED - set(names))}"
    others = ["detector/secret.env", "tests/__init__.py", "detector/__pycache__/cli.cpython-311.pyc", "training/data/cases/a/b.json"]
    assert strangers(others, WHEEL) == others
    with tarfile.open(sdist) as archive:
        inside = [member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()]
        no_files = [member.name for member in archive.getmembers() if not member.isfile()]
    assert not no_files, f"the sdist holds what is no file: {no_files}"
    assert not strangers(inside, SDIST), f"the sdist holds what is not on the list: {strangers(inside, SDIST)}"
    assert "detector/native/scoring.c" in inside
    return len(names)


def check_without_compiler(env: DefaultIsolatedEnv, folder: Path, python: Path) -> None:
    """Build a wheel as on a machine without a C compiler; it is for any machine, and filters a document."""
    builder = ProjectBuilder.from_isolated_env(env, ROOT, runner=quiet_subprocess_runner)
    os.environ["CC"] = "no-such-compiler"
    try:
        wheel = Path(builder.build("wheel", str(folder)))
    finally:
        del os.environ["CC"]
    assert wheel.name.endswith("-py3-none-any.whl"), wheel.name
    assert COMPILED not in zipfile.ZipFile(wheel).namelist()
    inside = folder / "inside"
    shutil.unpack_archive(wheel, inside, "zip")
    code = f"from detector import Detector; d = Detector.load(); print(d.model.compiled, d.filter({PAGE!r}).text)"
    out = subprocess.run([python, "-c", code], cwd=inside, capture_output=True, text=True, check=True).stdout
    assert out == f"None {KEPT}\n", out


def main() -> None:
    """Fail with a message where the wheel is not what it should be."""
    for name in ("SOURCE_DATE_EPOCH", "CONSENT_DETECTOR_COMPILED"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory() as folder, DefaultIsolatedEnv() as env:
        first = built(env, ROOT, Path(folder, "first"))
        second = built(env, copied(ROOT, Path(folder, "elsewhere")), Path(folder, "second"))
        wheels = [made[name] for made in (first, second) for name in ("wheel", "wheel of the sdist")]
        for same in (wheels, [first["sdist"], second["sdist"]]):
            digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in same}
            assert len(digests) == 1, f"{same[0].name} has other bytes when it is built again"
        wheel = first["wheel"]
        n_files = check_files(wheel, first["sdist"])
        environment = Path(tempfile.gettempdir()) / f"consent-text-detector-{hashlib.sha256(wheel.read_bytes()).hexdigest()[:16]}"
        python = environment / "bin" / "python"
        if not (environment / "installed").exists():
            venv.create(environment, with_pip=True, clear=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)], check=True)
            (environment / "installed").touch()
        has_compiler = shutil.which((os.environ.get("CC") or "cc").split()[0]) is not None
        assert (COMPILED in zipfile.ZipFile(wheel).namelist()) == has_compiler, f"{wheel.name}: {COMPILED}"
        if has_compiler:
            check_without_compiler(env, Path(folder, "without"), python)
    page = subprocess.run(
        [environment / "bin" / "consent-detector", "review", "-", "-o", "-"], input=PAGE, cwd=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "The harbour reopens on Monday" in page
    command: list[str | Path] = [environment / "bin" / "consent-detector", "filter", "-"]
    out = subprocess.run(command, input=PAGE, cwd=environment, capture_output=True, text=True, check=True).stdout
    assert out == KEPT, out
    labelled = environment / "labelled.jsonl"
    shutil.copy(ROOT / "data" / "tutorial" / "labels.jsonl", labelled)
    command = [environment / "bin" / "consent-training", "fit", "--labelled", labelled, "-o", environment / "mine.joblib", "--force"]
    report = subprocess.run(command, cwd=environment, capture_output=True, text=True, check=True).stdout
    assert "the gate: of " in report, report
    print(f"the wheel ({n_files} files) and the sdist have the same bytes when they are built again, elsewhere, and the wheel of the sdist too;")
    print(f"it filters a document in {environment}, and is adapted to labels there")


if __name__ == "__main__":
    main()
