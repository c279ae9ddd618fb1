"""The package: what its wheel has, which version it says, and what an environment that it is installed in can do."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import traffic
from support.stack import ROOT
from traffic.__main__ import main

DISTRIBUTION = "traffic-replayer"
PAGE = ROOT / "locust/traffic/master/web/page"


def not_there(what: str) -> None:
    """Skip the test; under CI=true, after `make` has set up the environment, fail it."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{what} in this environment: call make lint")


@pytest.fixture
def installed() -> dict[str, str]:
    """The variables of a process that finds this tree because it is installed, and by nothing else."""
    try:
        origin = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json") or ""
    except importlib.metadata.PackageNotFoundError:
        origin = ""
    if f'"file://{ROOT}"' not in origin:
        not_there("the package of this folder is not installed")
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    if not importlib.util.find_spec("hatchling"):
        not_there("hatchling is not there")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-index", "--no-deps"]
    done = subprocess.run(
        [*pip, "--no-build-isolation", "--wheel-dir", folder, ROOT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.iterdir()
    return zipfile.ZipFile(built)


def test_the_wheel_has_every_module_and_every_file_of_the_page_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    ours = ROOT / "locust/traffic"
    wanted = {f"traffic/{path.relative_to(ours)}" for path in ours.rglob("*") if path.is_file()}
    wanted = {name for name in wanted if "__pycache__" not in name}
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == wanted
    for suffix in (".html", ".js", ".css"):
        assert any(name.startswith("traffic/master/web/page/") and name.endswith(suffix) for name in packed), suffix


def test_the_version_is_one_number(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    assert f"\nVersion: {traffic.__version__}\n" in metadata
    assert "version" not in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_an_installed_package_has_its_command(installed: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_text("{}\n")
    command: list[str | Path] = [Path(sys.executable).with_name("traffic"), "check", tmp_path / "good.jsonl"]
    done = subprocess.run(command, cwd=tmp_path, env=installed, capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"{tmp_path}/good.jsonl: good: JSON Lines, 1 record;"), done.stderr


def test_a_locustfile_of_another_folder_finds_the_package(installed: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from traffic import ReplayUser\n\nclass Mine(ReplayUser):\n    pass\n")
    command: list[str | Path] = [sys.executable, "-P", "-m", "locust", "-f", tmp_path / "mine.py", "--list"]
    done = subprocess.run(command, cwd=tmp_path, env=installed, capture_output=True, text=True, timeout=60, check=False)
    assert "Mine" in done.stdout, done.stderr


def test_the_health_check_imports_neither_locust_nor_numpy() -> None:
    code = "import sys; from traffic.__main__ import main; main(['health']); print(sorted(sys.modules))"
    env = os.environ | {"PYTHONPATH": str(ROOT / "locust"), "TRAFFIC_HEALTH_FILE": ""}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stderr.startswith("TRAFFIC_HEALTH_FILE names no file")
    assert not {"locust", "gevent", "numpy", "msgspec"} & set(eval(done.stdout))


def test_the_command_reads_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["traffic", "nonsense"])
    assert main() == 2
    assert (
        capsys.readouterr().err
        == "usage: traffic check FILE | plan FILE --rate RATE | results RUN | compare RUN RUN | health\n"
    )
