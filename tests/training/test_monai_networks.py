"""Networks of MONAI, by the names that cards give them."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import napari_effseg as eff
from napari_effseg.training import run_training

SIZES = "spatial_dims = 3\nin_channels = 1\nout_channels = 2\n"
NETWORKS = {
    "SegResNet": "init_filters = 8\nblocks_down = [1, 1]\nblocks_up = [1]\n",
    "DynUNet": "kernel_size = [3, 3, 3]\nstrides = [1, 2, 2]\nupsample_kernel_size = [2, 2]\n"
    "filters = [4, 8, 8]\ndeep_supervision = false\n",
}


@pytest.fixture(params=NETWORKS)
def config(request, ball_config):
    """Write a configuration for one of MONAI's networks, given the number of steps."""
    own = (
        "spatial_dims = 3\ninit_filters = 8\nin_channels = 1\nout_channels = 2\nblocks_down = [1, 1]\n"
        "blocks_up = [1]\n"
    )
    changes = {'"lightm-unet"': f'"monai:{request.param}"', own: SIZES + NETWORKS[request.param]}
    return lambda steps: ball_config(steps, **changes)


def test_a_network_of_monai_learns_and_segments(config, tmp_path):
    folder = run_training(config(40), output=tmp_path / "run", device="cpu")
    dice = [point["mean_dice"] for point in json.loads((folder / "history.json").read_text())]
    assert max(dice) > 0.5
    volume = eff.load(tmp_path / "data" / "images" / "ball_5.nii.gz")
    result = eff.segment(volume, model=folder / "ball-lightm-unet.toml", device="cpu")
    truth = eff.load_labels(tmp_path / "data" / "labels" / "ball_5.nii.gz")
    assert eff.metrics.dice(result.labels.data == 1, np.asarray(truth.data) == 1) > 0.5


def test_an_interrupted_run_of_it_ends_as_an_uninterrupted_one(config, tmp_path):
    asked = iter(range(100))
    path = config(6)
    with pytest.raises(eff.Cancelled):
        run_training(path, output=tmp_path / "a", device="cpu", cancel=lambda: next(asked) >= 5 + 3)
    run_training(path, output=tmp_path / "a", device="cpu", resume=True)
    run_training(path, output=tmp_path / "b", device="cpu")
    first, second = (load_file(tmp_path / name / "ball-lightm-unet.safetensors") for name in "ab")
    assert all(torch.equal(first[key], second[key]) for key in second)


def test_a_network_that_is_not_on_the_list_is_refused_with_the_nearest(ball_config, tmp_path):
    wrong = ball_config(1, **{'"lightm-unet"': '"monai:SegResnet"'})
    with pytest.raises(eff.CardError, match="Did you mean SegResNet"):
        run_training(wrong, output=tmp_path / "run", device="cpu")
