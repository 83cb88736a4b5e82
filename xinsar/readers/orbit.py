"""Facts of the satellites that product files leave out."""

from __future__ import annotations

SENTINEL1_WAVELENGTH = 0.0554657647
"""Metres: the speed of light over 5.405 GHz."""

_FIRST_ORBIT = {"A": 73, "B": 27, "C": 172}
_ORBITS = 175
_BURST_SECONDS, _ORBIT_SECONDS = 2.758273, 12 * 86400 / 175


def normalised_heading(heading: float) -> float:
    """Return a heading within (-180, 180] degrees.

    >>> round(normalised_heading(193.3), 1)
    -166.7
    """
    return 180.0 - (180.0 - heading) % 360.0


def direction_of(heading: float) -> str:
    """Return ``"ascending"`` for a heading to the north, else ``"descending"``."""
    return "ascending" if abs(normalised_heading(heading)) < 90.0 else "descending"


def relative_orbit(platform: str, absolute: int) -> int | None:
    """Return the Sentinel-1 track (1..175) of an absolute orbit of platform A, B or C; None for others.

    Each satellite counts its orbits from its own launch; 175 of them make one repeat cycle.

    >>> relative_orbit("A", 30820)
    123
    """
    first = _FIRST_ORBIT.get(platform)
    return None if first is None else (absolute - first) % _ORBITS + 1


def burst_orbit(burst: int) -> int:
    """Return the Sentinel-1 track of a relative burst number, which counts bursts of 2.758 s from orbit 1.

    >>> burst_orbit(136231)
    64
    """
    return int(burst * _BURST_SECONDS // _ORBIT_SECONDS) + 1
