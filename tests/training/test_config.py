import pytest
import torch

import napari_effseg as eff
from napari_effseg.training import OptimiserConfig, read_config
from napari_effseg.training.optimise import build_optimiser, learning_rate


def test_what_the_file_leaves_out_has_its_default(ball_config):
    config = read_config(ball_config(5))
    assert config.run.steps == 5
    assert config.optimiser.weight_decay == OptimiserConfig().weight_decay


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch_size = 2", "batchsize = 2", "Did you mean batch_size"),
        ("batch_size = 2", "batch_size = 2.5", "expected int"),
        ("batch_size = 2", "batch_size = true", "expected int"),
        ("batch_size = 2", "batch_size = 0", "at least 1"),
        ('mirror = ["LR"]', 'mirror = ["XY"]', "LR, AP and SI"),
        ('mirror = ["LR"]', "mirror = [1]", r"expected tuple\[str"),
        ('folder = "data"', "", "lacks folder"),
        ("[data]", "[dater]", "Did you mean data"),
        ("seed = 3", "seed = ", "not valid TOML"),
        ("[data]", "[finetune]\n[data]", "effseg finetune"),
        ("[run]", "[clicks]\nbox = 1.5\n[run]", "clicks.box must be in"),
        ("[run]", "[clicks]\nbox = 0.7\nlasso = 0.4\n[run]", "not be over 1 together"),
        ("[run]", "[clicks]\nwidest = 0.5\n[run]", "clicks.widest"),
        ("[run]", "[clicks]\nrounds = 0\n[run]", "clicks.rounds must be at least 1"),
        ("[run]", "[clicks]\nlocked = nan\n[run]", "clicks.locked must be in"),
        ("[run]", "[solids]\nsynthetic = 0.8\npseudo = 0.4\n[run]", "not be over 1 together"),
        ("[run]", "[solids]\nsize = 0\n[run]", "solids.size"),
        ("[run]", '[solids]\nunlabelled_files = ["a"]\n[run]', "a licence and a citation"),
        ("seed = 3", "patience = -1", "patience must not be negative"),
        ("seed = 3", "minutes = -1", "minutes must not be negative"),
    ],
)
def test_a_wrong_field_is_refused_by_name(ball_config, old, new, message):
    with pytest.raises(eff.ConfigError, match=message):
        read_config(ball_config(5, **{old: new}))


def test_a_missing_file_is_refused_in_words(tmp_path):
    with pytest.raises(eff.ConfigError, match="no training configuration"):
        read_config(tmp_path / "none.toml")


def test_the_data_folder_may_come_from_the_environment(ball_config, monkeypatch, tmp_path):
    config = read_config(ball_config(5, **{'"data"': '"${EFFSEG_DATA}/data"'}))
    monkeypatch.setenv("EFFSEG_DATA", str(tmp_path))
    assert config.resolve(config.data.folder) == (tmp_path / "data").resolve()
    monkeypatch.delenv("EFFSEG_DATA")
    with pytest.raises(eff.ConfigError, match="EFFSEG_DATA"):
        config.resolve(config.data.folder)


def test_learning_rate_rises_then_falls_to_zero():
    config = OptimiserConfig(learning_rate=1.0, warmup_steps=10, decay_power=0.9)
    rates = [learning_rate(step, 100, config) for step in range(101)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert max(rates) == 1.0
    assert rates[-1] == 0.0


@pytest.mark.parametrize(("schedule", "halfway", "end"), [("cosine", 0.5, 0.0), ("exponential", 0.1, 0.01)])
def test_other_schedules_fall_as_they_say(schedule, halfway, end):
    config = OptimiserConfig(learning_rate=2.0, warmup_steps=10, schedule=schedule, decay_end=0.01)
    rates = [learning_rate(step, 110, config) for step in range(10, 111)]
    assert rates == sorted(rates, reverse=True)
    assert [rates[0], rates[50], rates[100]] == pytest.approx([2.0, 2 * halfway, 2 * end])


def test_adam_takes_weight_decay_into_the_gradient_and_adamw_does_not():
    def moved(method):
        net = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.constant_(net.weight, 10.0)
        optimiser = build_optimiser(net, OptimiserConfig(method=method, learning_rate=0.1, weight_decay=0.5))
        (0 * net.weight).sum().backward()
        optimiser.step()
        return 10.0 - float(net.weight.detach())

    assert moved("adam") == pytest.approx(0.1, rel=1e-3)  # a full step towards zero
    assert moved("adamw") == pytest.approx(0.1 * 0.5 * 10.0)


def test_a_frozen_parameter_is_not_optimised():
    net = torch.nn.Linear(2, 1)
    net.bias.requires_grad_(False)
    assert [len(group["params"]) for group in build_optimiser(net, OptimiserConfig()).param_groups] == [1]


def test_learning_rate_falls_to_zero_with_the_minutes_that_are_over():
    config = OptimiserConfig(learning_rate=1.0, warmup_steps=10, decay_power=1.0)
    rates = [learning_rate(50, 10_000, config, elapsed) for elapsed in (0.0, 0.25, 0.5, 1.0)]
    assert rates == pytest.approx([1.0, 0.75, 0.5, 0.0], abs=0.01)
    assert learning_rate(9_000, 10_000, config, 0.1) < 0.11
