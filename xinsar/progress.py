"""Progress bars for long work: one place that decides whether a bar is shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

QUIET = "XINSAR_QUIET"
"""Environment variable: any value but empty and ``0`` silences bars that nobody asked for."""


def wanted(progress: bool | None) -> bool:  # noqa: FBT001
    """Whether to show a bar: as told, else when stderr is a terminal and ``XINSAR_QUIET`` is not set."""
    if progress is not None:
        return progress
    return os.environ.get(QUIET, "") in ("", "0") and sys.stderr.isatty()


def note(text: str, progress: bool | None = None) -> None:  # noqa: FBT001
    """Print one line on stderr, unless ``progress`` is False, or None with ``XINSAR_QUIET`` set."""
    if progress or (progress is None and os.environ.get(QUIET, "") in ("", "0")):
        print(text, file=sys.stderr)


@contextmanager
def bar(progress: bool | None = None) -> Iterator[None]:  # noqa: FBT001
    """Show a dask progress bar on stderr around the work inside.

    Parameters
    ----------
    progress
        True: always; False: never; None: when stderr is a terminal and ``XINSAR_QUIET`` is not set. Work
        sent to a cluster shows in the cluster's dashboard instead.
    """
    if not wanted(progress):
        yield
        return
    from dask.diagnostics import ProgressBar

    with ProgressBar(out=sys.stderr):
        yield
