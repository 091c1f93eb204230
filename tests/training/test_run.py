import json

import pytest
import torch
from safetensors.torch import load_file

import napari_effseg as eff
from napari_effseg.training import run_training
from napari_effseg.training.loop import CHECKPOINT


def _weights(folder):
    return load_file(folder / "ball-lightm-unet.safetensors")


@pytest.fixture
def interrupted(ball_config, tmp_path):
    """Run folder of a run that was cancelled after five of ten steps, and its configuration."""
    config, folder = ball_config(10), tmp_path / "run"
    asked = iter(range(100))
    with pytest.raises(eff.Cancelled, match="5 steps"):
        run_training(config, output=folder, device="cpu", cancel=lambda: next(asked) >= 5 + 5)
    return config, folder


def test_a_run_learns_and_leaves_all_its_files(ball_config, tmp_path):
    folder = run_training(ball_config(40), output=tmp_path / "run", device="cpu")
    history = json.loads((folder / "history.json").read_text())
    assert history[-1]["step"] == 40
    assert max(point["mean_dice"] for point in history) > 0.5 > history[0]["mean_dice"] - 0.3
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "validation Dice" in (folder / "log.txt").read_text()


def test_the_card_of_a_run_segments(ball_config, tmp_path):
    folder = run_training(ball_config(4), output=tmp_path / "run", device="cpu")
    volume = eff.load(tmp_path / "data" / "images" / "ball_5.nii.gz")
    result = eff.segment(volume, model=folder / "ball-lightm-unet.toml", device="cpu")
    assert result.labels.data.shape == volume.shape
    assert result.labels.names == {1: "ball"}


def test_an_interrupted_run_ends_as_an_uninterrupted_one(interrupted, tmp_path):
    config, folder = interrupted
    run_training(config, output=folder, resume=True, device="cpu")
    whole = run_training(config, output=tmp_path / "whole", device="cpu")
    resumed = _weights(folder)
    for name, value in _weights(whole).items():
        assert torch.equal(value, resumed[name]), name


def test_another_configuration_cannot_go_on_with_a_run(interrupted, ball_config):
    _, folder = interrupted
    with pytest.raises(eff.ConfigError, match="differs"):
        run_training(ball_config(11, "other.toml"), output=folder, resume=True, device="cpu")


def test_a_folder_with_a_run_is_not_overwritten(interrupted):
    config, folder = interrupted
    with pytest.raises(eff.ConfigError, match="already holds a run"):
        run_training(config, output=folder, device="cpu")


def test_a_damaged_checkpoint_is_refused_in_words(interrupted):
    config, folder = interrupted
    whole = (folder / CHECKPOINT).read_bytes()
    (folder / CHECKPOINT).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(eff.WeightsError, match="no checkpoint of this run"):
        run_training(config, output=folder, resume=True, device="cpu")


def test_training_can_start_from_given_weights(ball_config, tmp_path):
    first = run_training(ball_config(4), output=tmp_path / "first", device="cpu")
    start = '[run]\ninitial_weights = "first/ball-lightm-unet.safetensors"'
    again = ball_config(1, "again.toml", **{"[run]": start, "learning_rate = 0.01": "learning_rate = 1e-9"})
    second = run_training(again, output=tmp_path / "second", device="cpu")
    # One step of no length; the average of the weights starts where the weights do.
    for name, value in _weights(first).items():
        torch.testing.assert_close(value, _weights(second)[name], rtol=0, atol=1e-6)


def test_a_card_may_not_claim_what_training_finds_out(ball_config, tmp_path):
    config = ball_config(1, **{"[card.window]": "[[card.accuracy]]\nmean = 1.0\n\n[card.window]"})
    with pytest.raises(eff.ConfigError, match=r"card\.accuracy"):
        run_training(config, output=tmp_path / "run", device="cpu")
