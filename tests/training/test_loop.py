"""What the trainer promises beside learning: frozen stays, patience ends, a start must be beaten."""

import numpy as np
import pytest
import torch
from torch import nn

from napari_effseg import nets
from napari_effseg.io.dataset import read_dataset
from napari_effseg.training import read_config
from napari_effseg.training.data import load_cases
from napari_effseg.training.loop import Trainer
from napari_effseg.training.release import draft_card
from napari_effseg.training.state import HistoryPoint


class Sampler:
    """Noise with a bright half, always the same."""

    def batch(self, step, batch_size):
        random = np.random.default_rng(step)
        target = torch.zeros(batch_size, 1, 16, 16, 16, dtype=torch.uint8)
        target[..., :8] = 1
        noise = torch.from_numpy(random.normal(size=target.shape).astype(np.float32))
        return noise + 3 * target, target


class Normalised(nn.Module):
    """A frozen layer with running statistics before one that learns."""

    def __init__(self):
        super().__init__()
        self.norm, self.head = nn.BatchNorm3d(1), nn.Conv3d(1, 2, 1)
        self.norm.requires_grad_(False)

    def forward(self, x):
        return self.head(self.norm(x))


@pytest.fixture
def trainer(ball_config, tmp_path):
    def make(net=None, **changes):
        config = read_config(ball_config(4, **changes))
        card = draft_card(config)
        (tmp_path / "run").mkdir(exist_ok=True)
        built = nets.create(card.network, **card.constructor) if net is None else net
        return Trainer(config, card, built, tmp_path / "run", torch.device("cpu"))

    return make


@pytest.fixture
def held_back(ball_config, tmp_path):
    card = draft_card(read_config(ball_config(4)))
    return load_cases(read_dataset(tmp_path / "data").split("validation"), card, None, None)


def scores_at(trainer, *means):
    trainer.state.history = [HistoryPoint(n, 0.0, 0.0, {}, mean) for n, mean in enumerate(means)]
    trainer.state.best = max(trainer.state.best, *means)


def test_frozen_parameters_stay_to_the_last_bit_and_others_change(trainer, held_back):
    run = trainer()
    run.net.down_layers.requires_grad_(False)
    run = trainer(run.net)
    before = {name: value.clone() for name, value in run.net.state_dict().items()}
    run.run(Sampler(), held_back)
    for net in (run.net, run.average.net):
        for name, value in net.state_dict().items():
            assert torch.equal(value, before[name]) == name.startswith("down_layers."), name


def test_running_statistics_of_frozen_layers_stay(trainer, held_back):
    run = trainer(Normalised())
    run.run(Sampler(), held_back)
    assert torch.equal(run.net.norm.running_mean, torch.zeros(1))
    assert run.net.norm.num_batches_tracked == 0


def test_patience_ends_after_validations_without_a_better_one(trainer):
    run = trainer(**{"seed = 3": "seed = 3\npatience = 2"})
    scores_at(run, 0.5, 0.6, 0.6)
    assert not run.is_finished
    scores_at(run, 0.5, 0.6, 0.6, 0.4)
    assert run.is_finished


def test_patience_counts_from_the_start_that_must_be_beaten(trainer):
    run = trainer(**{"seed = 3": "seed = 3\npatience = 2"})
    run.must_beat(0.9)
    scores_at(run, 0.5, 0.6)
    assert run.is_finished


def test_without_patience_a_run_takes_all_its_steps(trainer):
    run = trainer()
    scores_at(run, *([0.5] + 50 * [0.1]))
    assert not run.is_finished


def test_weights_that_are_no_better_than_the_start_are_not_kept(trainer, held_back):
    run = trainer()
    run.must_beat(1.0)  # no mean of Dice is better than this
    run.run(Sampler(), held_back)
    assert run.state.step == 4
    assert run.best == {}


def test_a_run_ends_with_its_minutes_validated_and_saved(trainer, held_back):
    run = trainer(**{"seed = 3": "seed = 3\nminutes = 2.0"})
    run.state.seconds = 119.9999
    run.run(Sampler(), held_back)
    assert run.state.step == 1
    assert run.is_finished
    assert [point.step for point in run.state.history] == [1]
    assert run.checkpoint.is_file()


def test_a_run_without_minutes_has_no_such_end(trainer, held_back):
    run = trainer()
    run.state.seconds = 1e9
    run.run(Sampler(), held_back)
    assert run.state.step == 4
    assert run.elapsed == 0


def test_minutes_of_earlier_sittings_count(trainer, held_back):
    changes = {"seed = 3": "seed = 3\nminutes = 2.0"}
    first = trainer(**changes)
    first.state.seconds = 119.9999
    first.run(Sampler(), held_back)
    second = trainer(**changes)
    second.resume()
    assert second.is_finished


def test_time_on_cores_goes_on_where_a_run_was(trainer, held_back):
    first = trainer()
    first.state.core_seconds = 1e6
    first.run(Sampler(), held_back)
    assert 1e6 < first.state.history[-1].core_seconds <= first.state.core_seconds < 1e6 + 3600
    second = trainer()
    second.resume()
    assert second.state.core_seconds == first.state.core_seconds
