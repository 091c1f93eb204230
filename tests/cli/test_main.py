"""The frame of all commands: help, exit codes, one line for every trouble, a quick start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from napari_effseg import engine
from napari_effseg.cli._app import app
from napari_effseg.errors import Cancelled, OutOfMemory

from .conftest import Command

COMMANDS = sorted(app.list_commands(None))


def test_the_contracts_commands_are_there() -> None:
    expected = {
        "sample",
        "models",
        "segment",
        "prompt",
        "train",
        "distill",
        "evaluate",
        "bench",
        "convert",
        "doctor",
    }
    assert expected <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(effseg: Command, command: str) -> None:
    ran = effseg(command, "--help")
    assert ran.code == 0
    assert f"Example: effseg {command}" in ran.out
    assert "--quiet" in ran.out
    assert "--verbose" in ran.out


@pytest.mark.parametrize("command", ["segment", "prompt", "evaluate", "train", "distill", "bench"])
def test_commands_that_compute_take_a_device(effseg: Command, command: str) -> None:
    assert "--device" in effseg(command, "--help").out


def test_without_a_command_there_is_help(effseg: Command) -> None:
    assert "segment" in effseg().out


def test_an_unknown_command_names_the_nearest(effseg: Command) -> None:
    ran = effseg("segmnt", "scan.nii.gz")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "Did you mean segment?" in ran.err


def test_an_unknown_option_names_the_nearest(effseg: Command) -> None:
    ran = effseg("evaluate", "a", "b", "--splt", "test")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "--split" in ran.err


@pytest.mark.parametrize(
    ("error", "code"),
    [(OutOfMemory("too large"), 4), (MemoryError(), 4), (Cancelled("stopped"), 3), (KeyboardInterrupt(), 3)],
)
@pytest.mark.usefixtures("models")
def test_troubles_have_their_codes(
    effseg: Command, scan: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def break_down(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(engine, "segment", break_down)
    ran = effseg("segment", scan, "-m", "synthetic")
    assert (ran.code, len(ran.err.splitlines())) == (code, 1)
    assert [path.name for path in scan.parent.iterdir()] == [scan.name]


@pytest.mark.usefixtures("models")
def test_a_fault_of_ours_names_a_log_with_the_traceback(
    effseg: Command, scan: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def break_down(*arguments: object) -> None:
        raise ZeroDivisionError("a slip")

    monkeypatch.setattr(engine, "segment", break_down)
    monkeypatch.setattr("platformdirs.user_log_path", lambda *_, **__: tmp_path / "logs")
    ran = effseg("segment", scan, "-m", "synthetic")
    assert (ran.code, len(ran.err.splitlines())) == (1, 1)
    (log,) = (tmp_path / "logs").iterdir()
    assert str(log) in ran.err
    assert "ZeroDivisionError: a slip" in log.read_text(encoding="utf-8")


def test_help_loads_neither_torch_nor_qt_nor_scipy() -> None:
    look = (
        "import sys; from napari_effseg.cli import main; main(['--help']); main(['segment', '--help']); "
        "print(sorted({'torch', 'qtpy', 'napari', 'scipy', 'monai'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_a_reader_that_leaves_is_no_fault() -> None:
    code = "import sys; from napari_effseg.cli import main; sys.exit(main(['models']))"
    script = f'set -o pipefail; "{sys.executable}" -c "{code}" | true'
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.usefixtures("models")
def test_models_are_listed_for_people_and_programs(effseg: Command) -> None:
    assert "two-sequences" in effseg("models").out
    document = json.loads(effseg("models", "--json").out)
    found = {entry["name"]: entry for entry in document["models"]}
    assert found["synthetic"]["labels"][1]["name"] == "liver"
    assert found["synthetic"]["network"] == "lightm-unet"
