"""Models of random weights, small oblique scans, and a way to run commands in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_effseg import Volume, save, zoo
from napari_effseg.batch import BatchOptions, BatchResult, Wanted, find_cases, run_batch
from napari_effseg.cli import main
from tests.cli.conftest import AFFINE, Ran
from tests.zoo.synthetic import synthetic_card

Scans = Callable[..., Path]
Batch = Callable[..., BatchResult]

MR = {"modality": ("MR",), "orientation": "RAS", "intensity": zoo.IntensityRule("zscore")}
T1, FLAIR = zoo.ChannelRole("t1", "T1-weighted"), zoo.ChannelRole("flair", "FLAIR")
TWO = {
    "spatial_dims": 3,
    "init_filters": 8,
    "in_channels": 2,
    "out_channels": 3,
    "blocks_down": (1, 1),
    "blocks_up": (1,),
}


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> zoo.Card:
    """A model of one channel."""
    return synthetic_card(tmp_path_factory.mktemp("card"), input=zoo.InputSpec(channels=(T1,), **MR))


@pytest.fixture(scope="session")
def two_channels(tmp_path_factory: pytest.TempPathFactory) -> zoo.Card:
    """A model of t1 and flair."""
    spec = zoo.InputSpec(channels=(T1, FLAIR), **MR)
    return synthetic_card(tmp_path_factory.mktemp("two"), name="two", input=spec, constructor=TWO)


@pytest.fixture
def scans(tmp_path: Path) -> Scans:
    """Write noisy oblique scans with these names into the folder `in`, and return it."""

    def write(*names: str, size: tuple[int, int, int] = (12, 10, 8)) -> Path:
        folder = tmp_path / "in"
        for number, name in enumerate(names):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            voxels = np.random.default_rng(number).normal(100, 20, size).astype(np.float32)
            save(Volume(voxels, AFFINE), path)
        return folder

    return write


@pytest.fixture
def batch(card: zoo.Card, tmp_path: Path) -> Batch:
    """Run a batch of a folder or a table with the model of one channel into the folder `out`."""

    def run(source: Path, wanted: Wanted | None = None, cancel=None, **options: object) -> BatchResult:
        chosen = wanted or Wanted(card.path)
        found = find_cases(source, chosen, tmp_path / "out")
        given = BatchOptions(device="cpu", **options)
        return run_batch(found, tmp_path / "out", given, cancel=cancel)

    return run


@pytest.fixture
def effseg(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run `effseg` with these arguments in this process."""

    def run(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


def visible(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
