"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


def _data_folder() -> Path:
    """Folder of real data: $XINSAR_TEST_DATA, else ``shared/data`` beside the checkout."""
    named = os.environ.get("XINSAR_TEST_DATA")
    return Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return the folder of one real data set, or skip the test where it is absent."""

    def find(name: str) -> Path:
        folder = _data_folder() / name
        if not folder.is_dir():
            pytest.skip(f"real data set {name!r} is not in {_data_folder()}; set XINSAR_TEST_DATA")
        return folder

    return find
