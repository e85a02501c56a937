"""Compile `scoring.c` when the package is built: a hook of hatchling, which `pyproject.toml` names.

Without a C compiler, or with CONSENT_DETECTOR_COMPILED=0, the package is built without the library, for any machine.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path(__file__).with_name("scoring.c")
FLAGS = ("-O3", "-ffp-contract=off", "-fPIC", "-shared", "-fvisibility=hidden", "-s")


def compile_to(library: Path) -> str:
    """Make the library; returns why there is none, empty if there is one."""
    if os.environ.get("CONSENT_DETECTOR_COMPILED") == "0":
        return "CONSENT_DETECTOR_COMPILED is 0"
    compiler = shlex.split(os.environ.get("CC") or "cc")
    if shutil.which(compiler[0]) is None:
        return f"there is no C compiler {compiler[0]}"
    # under its own name in a folder of its own, so that its bytes don't depend on where it is built, and moved when it is whole
    with tempfile.TemporaryDirectory() as folder:
        command = [*compiler, *FLAGS, "-o", library.name, SOURCE.name, "-lm"]
        shutil.copyfile(SOURCE, Path(folder, SOURCE.name))
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - the compiler
        if run.returncode:
            return f"{' '.join(command)} failed: {run.stderr.strip()}"
        part = library.with_name(f"part-{library.name}")
        shutil.copyfile(Path(folder, library.name), part)
        part.replace(library)
    return ""


class ScoringHook(BuildHookInterface[Any]):
    """Puts the library into a wheel, or beside its source for an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile it; the wheel is then for this kind of machine, and any Python."""
        if self.target_name != "wheel":
            return
        editable = version == "editable"
        self._folder = tempfile.TemporaryDirectory()
        library = Path(SOURCE.parent if editable else self._folder.name, "scoring.so")
        why_not = compile_to(library)
        if why_not:
            library.unlink(missing_ok=True)  # an older one
            self.app.display_warning(f"the scoring is not compiled, and numpy does it in twice the time: {why_not}")
            return
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")
        if not editable:
            build_data["force_include"][str(library)] = "detector/native/scoring.so"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Tidy up."""
        if self.target_name == "wheel":
            self._folder.cleanup()
