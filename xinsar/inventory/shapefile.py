"""Names of at most ten characters, as the shapefile's table wants them."""

from __future__ import annotations

from collections.abc import Iterable

LENGTH = 10

_SHORT = {
    "temporal_coherence": "coherence",
    "orientation": "orient",
    "elevation": "elev",
    "sensitivity": "sens",
    "ascending": "asc",
    "descending": "desc",
    "velocity": "vel",
    "distance": "dist",
    "gradient": "grad",
    "brightness": "bright",
    "perimeter": "perim",
    "potential": "pot",
    "landslide": "slide",
}
"""Short forms of the words of an inventory."""


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return a name of at most ten characters for each, no two alike in any case.

    Long names lose letters word by word (short forms of known words, then vowels, then their ends); those that
    still collide get a number.

    Examples
    --------
    >>> short_names(["id", "peak_velocity_ascending", "peak_velocity_descending", "elevation_range"])
    {'id': 'id', 'peak_velocity_ascending': 'pk_vel_asc', 'peak_velocity_descending': 'pkveldesc',
     'elevation_range': 'elev_range'}
    """
    names = list(names)
    out = {name: name for name in names if len(name.encode()) <= LENGTH and name.isascii()}
    taken = {name.lower() for name in out}
    for name in names:
        if name not in out:
            out[name] = _free(_shortened(name), taken)
            taken.add(out[name].lower())
    return {name: out[name] for name in names}


def _shortened(name: str) -> str:
    ascii_only = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
    for word, short in _SHORT.items():
        ascii_only = ascii_only.replace(word, short)
    words = [word for word in ascii_only.split("_") if word] or ["column"]
    for joined in ("_".join(words), "_".join(words := [_bare(w) for w in words]), "".join(words)):
        if len(joined) <= LENGTH:
            return joined
    while len("".join(words)) > LENGTH:
        longest = max(range(len(words)), key=lambda k: len(words[k]))
        words[longest] = words[longest][:-1]
    return "".join(words)


def _bare(word: str) -> str:
    """Return a word without inner vowels, where it is long."""
    return (
        word
        if len(word) < 4 or word in _SHORT.values()
        else word[0] + "".join(c for c in word[1:] if c not in "aeiou")
    )


def _free(name: str, taken: set[str]) -> str:
    """Return the name, or with a number where it is taken."""
    number, free = 1, name
    while free.lower() in taken:
        number += 1
        free = f"{name[: LENGTH - len(str(number))]}{number}"
    return free
