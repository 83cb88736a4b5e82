"""The package as it is shipped: what importing costs, what the metadata say, what no file may hold."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tomllib
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
INSTALLED = any(d.name == "xinsar" for d in metadata.distributions())
HEAVY = {
    "numba", "dask", "rioxarray", "rasterio", "geopandas", "torch", "cupy", "matplotlib", "h5py", "zarr",
    "distributed",
}  # fmt: skip
checkout_only = pytest.mark.skipif(
    not (ROOT / "README.md").is_file(), reason="needs a checkout, not only the wheel"
)

installed_only = pytest.mark.skipif(not INSTALLED, reason="xinsar is on the path, but not installed")


def _python(code: str) -> str:
    """Run ``code`` in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_nothing_heavy() -> None:
    """xarray itself may load some of them (it does not); what counts is what we add."""
    loaded = "import sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    ours = set(_python(f"import xinsar; {loaded}").split())
    xarrays = set(_python(f"import xarray; {loaded}").split())
    assert "xarray" in ours
    assert not (ours - xarrays) & HEAVY
    assert not ours & {"numba", "dask", "rioxarray", "torch", "cupy", "matplotlib"}


def test_accessor_registers_without_loading_anything_heavy() -> None:
    names = _python("import sys, xinsar, xarray as xr; xr.Dataset().insar; print(*sys.modules)").split()
    assert not set(names) & {"numba", "dask", "rioxarray", "torch", "cupy", "matplotlib"}


def _import_seconds(module: str) -> float:
    """CPU time of importing ``module`` in a fresh interpreter; steadier than the clock on a busy machine."""
    code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
    return float(_python(code))


def _import_ratio(repeats: int) -> float:
    pairs = [(_import_seconds("xinsar"), _import_seconds("xarray")) for _ in range(repeats)]
    ours, xarrays = (statistics.median(column) for column in zip(*pairs, strict=True))
    return ours / xarrays


def test_import_costs_little_more_than_xarray() -> None:
    """Less than 1.2 times ``import xarray``: medians of interleaved runs; a busy machine gets three tries."""
    _import_seconds("xinsar")  # writes the byte code
    ratios = []
    for _ in range(3):
        ratios.append(_import_ratio(repeats=5))
        if ratios[-1] < 1.2:
            return
    pytest.fail(f"import xinsar / import xarray: {ratios}")


def test_every_public_name_exists_and_is_documented() -> None:
    import xinsar

    for name in xinsar.__all__:
        thing = getattr(xinsar, name)
        if callable(thing) or hasattr(thing, "__path__"):
            assert thing.__doc__, f"xinsar.{name} has no docstring"


def test_unknown_name_is_an_attribute_error() -> None:
    import xinsar

    with pytest.raises(AttributeError, match="no_such_name"):
        _ = xinsar.no_such_name


@installed_only
def test_metadata() -> None:
    import xinsar

    about = metadata.metadata("xinsar")
    assert about["Version"] == xinsar.__version__
    assert about["License-Expression"] == "BSD-3-Clause"
    assert about["Requires-Python"] == ">=3.11"
    assert {"unwrap", "cloud", "distributed", "gpu"} <= set(about.get_all("Provides-Extra"))
    required = [r for r in about.get_all("Requires-Dist") if "extra ==" not in r]
    assert not [r for r in required if re.match(r"(snaphu|torch|cupy|mgwr|s3fs|obstore)", r)]


@installed_only
def test_licence_travels_with_the_package() -> None:
    files = metadata.files("xinsar") or []
    texts = [f.read_text() for f in files if f.name == "LICENSE"]
    assert any("BSD 3-Clause" in t and "The xinsar developers" in t for t in texts)


@installed_only
def test_command_is_installed() -> None:
    (entry,) = metadata.entry_points(group="console_scripts", name="xinsar")
    assert callable(entry.load())


def _required() -> list[str]:
    """Everything a user of the library may install: the core and the extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]


@checkout_only
def test_dependencies_are_lower_bounds() -> None:
    """A library says what it needs at least; exact pins stand in the lock only."""
    for bound in _required():
        assert re.fullmatch(r"[\w\[\],-]+>=[\d.]+(; .*)?", bound), bound


@checkout_only
def test_every_dependency_is_pinned() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    wanted = _required() + [w for group in groups.values() for w in group if isinstance(w, str)]
    names = {re.split(r"[\[>;]", w)[0].lower() for w in wanted}
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / "lock.txt").read_text(), re.MULTILINE))
    assert names <= pinned, f"run make lock: {sorted(names - pinned)}"


@checkout_only
@installed_only
def test_versions_agree() -> None:
    import xinsar

    assert f"version: {xinsar.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{xinsar.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def _repository_files() -> list[Path]:
    """Every file that is or could be committed."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("git cannot list the files here")
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


# Written in pieces, so that this file does not hold what it looks for.
_FORBIDDEN = {
    "address of a package index": "|".join(
        ["py" + r"pi\.org", "python" + "hosted", "--(extra-)?index" + "-url", "find" + "-links +/"]
    ),
    "path of somebody's machine": r"(?<![\w.])/(?:ho" + r"me|ro" + r"ot|Us" + r"ers|wo" + r"rk)/[\w.]",
}  # fmt: skip


@checkout_only
@pytest.mark.parametrize("what", sorted(_FORBIDDEN))
def test_no_file_holds(what: str) -> None:
    pattern = re.compile(_FORBIDDEN[what])
    found = []
    for path in _repository_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # pictures and other binary files
        found += [
            f"{path.relative_to(ROOT)}:{n}: {line[:80]}"
            for n, line in enumerate(lines, 1)
            if pattern.search(line)
        ]
    assert not found, f"{what}: " + "\n".join(found)


def test_forbidden_patterns_find_what_they_should() -> None:
    index, machine = (re.compile(_FORBIDDEN[k]) for k in sorted(_FORBIDDEN))
    assert index.search("--index" + "-url x")
    assert machine.search('open("/ro' + 'ot/data")')
    assert not machine.search("s3://bucket/home/x")
    assert not machine.search("docs/home/x")


@checkout_only
def test_no_file_is_large() -> None:
    """But the weights that come with the package: 6 MB each, 12 MB in all."""
    sizes = {p.relative_to(ROOT): p.stat().st_size for p in _repository_files()}
    weights = {p: n for p, n in sizes.items() if p.suffix in (".onnx", ".safetensors")}
    assert {p.parent for p in weights} <= {Path("xinsar/models/weights")}
    assert max(weights.values()) <= 6e6
    assert sum(weights.values()) <= 12e6
    assert not {str(p): n for p, n in sizes.items() if n > 600_000 and p not in weights}


@checkout_only
def test_every_public_name_stands_in_the_api_page() -> None:
    import xinsar

    page = (ROOT / "docs" / "api.md").read_text()
    missing = [n for n in xinsar.__all__ if not re.search(rf"(auto\w+:: |`)xinsar\.{n}\b", page)]
    assert not missing, missing


@checkout_only
def test_every_operation_has_a_page() -> None:
    """One page per public function of the operations and of points, with the parts a reader looks for."""
    import xinsar

    functions = [getattr(xinsar, name) for name in xinsar.__all__ if callable(getattr(xinsar, name))]
    rooms = ("xinsar.operations.", "xinsar.readers.points.", "xinsar.detection.detect")
    names = {f.__name__ for f in functions if f.__module__.startswith(rooms)}
    pages = {path.stem: path for path in (ROOT / "docs" / "operations").glob("*.md") if path.stem != "index"}
    text = "".join(path.read_text() for path in pages.values())
    assert set(pages) <= names
    assert not [name for name in names - set(pages) if f"`xinsar.{name}`" not in text]
    for name, page in pages.items():
        text = page.read_text()
        assert text.startswith(f"# {name}\n")
        for part in ("## In and out", "Missing values\n:", "Errors", "## Limits", "images/"):
            assert part in text, f"{page.name}: {part}"


@checkout_only
def test_every_product_stands_in_the_table_of_formats() -> None:
    from xinsar.readers import registry
    from xinsar.readers.points import registry as points

    named = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "formats.md").read_text(), re.MULTILINE)
    assert sorted(set(named) - {"product"}) == sorted([*registry.readers(), *points.readers()])


@checkout_only
def test_every_picture_exists() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"(?:\{image\} |!\[[^\]]*\]\()([\w./-]+\.png)", page.read_text()):
            assert (page.parent / link).is_file(), f"{page.name}: {link}"
