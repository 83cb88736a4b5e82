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


def _run(script: Path, folder: Path, *arguments: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", str(script), *map(str, arguments)],
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


KNOWN = {
    "06_hot_spots_points": (
        ["maoxian-landslide-ps-stamps"],
        ["97 points, 74 of them in the outline", "11 points, 15% of those inside, 0% of those outside"],
    ),
    "07_hot_spots_maps": (
        ["kirishima-alos2-mintpy", "campi-flegrei-licsbas"],
        ["49 m from Iwo-yama", "55 m from the crater of Shinmoe-dake", "1491 m from Pozzuoli"],
    ),
    "09_series_real": (
        ["mexico-city-s1-gamma-stack", "coso-ridgecrest-asc-desc"],
        [
            "30 pairs of 13 dates, 2018-01-06 to 2018-07-17",
            "mm a year at -99.053, 19.439",
            "sinks by 15.2 mm a year at -117.802, 36.028",
        ],
    ),
}


@pytest.mark.real
@pytest.mark.parametrize("name", KNOWN)
def test_example_finds_what_is_known_in_real_data(name: str, real_data, tmp_path: Path) -> None:
    folders, said = KNOWN[name]
    done = _run(ROOT / "examples" / f"{name}.py", tmp_path, *map(real_data, folders))
    assert done.returncode == 0, done.stderr
    assert not [words for words in said if words not in done.stdout], done.stdout
    assert "no known place" not in done.stdout


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
