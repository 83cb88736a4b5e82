"""Every example runs as its reader would run it, and so does the code in the README and the quickstart."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(next(iter(importlib.util.find_spec("xinsar").submodule_search_locations)))
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
_FENCE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _run(script: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", str(script)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(PACKAGE.parent)},
    )


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda p: p.stem)
def test_example_runs(script: Path, tmp_path: Path) -> None:
    done = _run(script, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("page", ["docs/quickstart.md"])
def test_code_of_the_page_runs(page: str, tmp_path: Path) -> None:
    """The python blocks of a page, one after another, are one program."""
    source = ROOT / page
    if not source.is_file():
        pytest.skip("needs a checkout, not only the wheel")
    script = tmp_path / "page.py"
    script.write_text("\n".join(_FENCE.findall(source.read_text())))
    assert script.stat().st_size > 100
    done = _run(script, tmp_path)
    assert done.returncode == 0, done.stderr
