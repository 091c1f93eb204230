"""Several processes train one network: the same gradient and the same weights in each, one run folder."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from napari_effseg import nets
from napari_effseg.errors import ConfigError
from napari_effseg.training import ranks as ranks_module
from napari_effseg.training import read_config
from napari_effseg.training.ranks import ALONE, Ranks, ranks_of_environment
from napari_effseg.training.release import draft_card
from tests.conftest import REPOSITORY

from .two_processes import gradients

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
needs_gloo = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="needs a torch with gloo",
)


@dataclass(frozen=True)
class Trained:
    """What two processes left."""

    folder: Path
    run: Path
    said: str

    def seen(self, what: str) -> list[dict[str, torch.Tensor]]:
        return [torch.load(self.folder / f"{what}-{number}.pt", weights_only=True) for number in range(2)]


@pytest.fixture
def trained(ball_config, tmp_path: Path) -> Trained:
    """Two processes that trained for two steps."""
    program = Path(__file__).with_name("two_processes.py")
    arguments = [program, ball_config(2), tmp_path / "run", tmp_path]
    paths = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [*TORCHRUN, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return Trained(tmp_path, tmp_path / "run", run.stdout)


@needs_gloo
@pytest.mark.slow
def test_two_processes_train_as_one(trained: Trained, ball_config) -> None:
    card = draft_card(read_config(ball_config(2)))
    net = nets.create(card.network, **card.constructor)
    first, second = trained.seen("before")
    net.load_state_dict(first)
    joint = gradients(net)
    for own in trained.seen("gradients"):
        assert own.keys() == joint.keys()
        assert all(torch.allclose(own[name], joint[name], atol=1e-5, rtol=1e-4) for name in joint)
    assert all(torch.equal(first[name], second[name]) for name in first)
    one, other = trained.seen("after")
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not all(torch.equal(one[name], first[name]) for name in one)
    assert trained.said.count("wrote") == 1
    assert (trained.run / "log.txt").read_text().count("step 2: loss") == 1
    assert (trained.run / "ball-lightm-unet.safetensors").is_file()


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert ranks_of_environment() is ALONE
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert ranks_of_environment() is ALONE


def test_torchrun_says_which_process_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    assert ranks_of_environment() == Ranks(5, 8, 1)


def test_each_process_has_a_card_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks_module.torch.cuda, "is_available", lambda: True)
    assert [Ranks(5, 8, 1).device(asked) for asked in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    assert ALONE.device("cuda:3") == "cuda:3"


def test_one_card_for_several_processes_is_refused() -> None:
    with pytest.raises(ConfigError, match="2 processes cannot share cuda:0"):
        Ranks(0, 2).device("cuda:0")


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    assert Ranks(0, 2).share(6) == 3
    with pytest.raises(ConfigError, match="batch_size is 5"):
        Ranks(0, 2).share(5)


def test_alone_the_joint_loss_is_the_loss() -> None:
    logits = torch.tensor([2.0], requires_grad=True)
    ALONE.joint_loss(lambda a, b: (a * b).sum(), logits, torch.tensor([3.0])).backward()
    assert logits.grad == torch.tensor([3.0])
