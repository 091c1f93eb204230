"""A model of random weights, a small oblique scan, and a way to run commands in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from napari_effseg import Volume, save, zoo
from napari_effseg.cli import main
from tests.zoo.synthetic import synthetic_card

ANGLE = np.deg2rad(12)
AFFINE = np.array(
    [
        [1.1 * np.cos(ANGLE), -0.9 * np.sin(ANGLE), 0, -20],
        [1.1 * np.sin(ANGLE), 0.9 * np.cos(ANGLE), 0, 5],
        [0, 0, 1.7, 40],
        [0, 0, 0, 1],
    ]
)


@dataclass(frozen=True)
class Ran:
    """Exit code and what was said."""

    code: int
    out: str
    err: str


Command = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _logs_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the logs of faults out of the user's own folder."""
    folder = tmp_path_factory.mktemp("logs")
    monkeypatch.setattr("platformdirs.user_log_path", lambda *_, **__: folder)


@pytest.fixture
def effseg(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `effseg` with these arguments in this process."""

    def run(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the cards "synthetic" (one channel) and "two-sequences" (t1 and flair)."""
    folder = tmp_path_factory.mktemp("cards")
    mr = {"modality": ("MR",), "orientation": "RAS", "intensity": zoo.IntensityRule("zscore")}
    one = zoo.InputSpec(channels=(zoo.ChannelRole("t1", "T1-weighted"),), **mr)
    two = zoo.InputSpec(channels=(*one.channels, zoo.ChannelRole("flair", "FLAIR")), **mr)
    synthetic_card(folder, input=one)
    draft = {"spatial_dims": 3, "init_filters": 8, "in_channels": 2, "out_channels": 3}
    blocks = {"blocks_down": (1, 1), "blocks_up": (1,)}
    synthetic_card(folder, name="two-sequences", input=two, constructor={**draft, **blocks})
    return folder


@pytest.fixture
def models(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the cards of `model_folder` known."""
    monkeypatch.setenv("EFFSEG_CARDS", str(model_folder))
    return model_folder


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A noisy oblique volume of 20 x 14 x 10 voxels, in a folder with a space and an umlaut."""
    folder = tmp_path / "Müller scans"
    folder.mkdir()
    voxels = np.random.default_rng(0).normal(100, 20, (20, 14, 10)).astype(np.float32)
    return save(Volume(voxels, AFFINE), folder / "scan 1.nii.gz")
