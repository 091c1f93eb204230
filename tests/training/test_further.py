"""Networks that answer all but first clicks, objects composed for them, and images stretched to a square."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from napari_effseg import ConfigError
from napari_effseg.nets.click_unet import ClickUNet, ClickUNetConfig
from napari_effseg.training import read_config, run_training
from napari_effseg.training.clicks.asking import ask
from napari_effseg.training.clicks.cases import ObjectCase, squared
from napari_effseg.training.clicks.composed import composed_object, painted
from napari_effseg.training.clicks.config import ClickConfig
from napari_effseg.training.clicks.lessons import ClickLesson
from napari_effseg.training.clicks.others import correct_others, other_objects
from napari_effseg.training.clicks.rounds import Rounds
from napari_effseg.training.clicks.run import _begin
from napari_effseg.training.clicks.sampler import ExampleSampler
from napari_effseg.training.clicks.validate import click_dice
from napari_effseg.training.clicks.whole import whole_examples
from napari_effseg.zoo.weights import save_weights

from .test_clicks import case, config  # noqa: F401  a fixture
from .test_distill import examples, student


def network(seed=0):
    torch.manual_seed(seed)
    net = ClickUNet(ClickUNetConfig(features=(4, 8)))
    nn.init.normal_(net.head.weight, std=3.0)  # it answers something, and something else to other prompts
    return net


def ring_case():
    """A bright disk in a dark ring on grey, the disk labelled."""
    i, j = np.mgrid[:96, :96]
    distance = np.hypot(i - 48, j - 48)
    image = np.full((96, 96), 120, np.uint8)
    image[distance < 30], image[distance < 20] = 20, 230
    labels = (distance < 20).astype(np.int32)
    return ObjectCase("ring", torch.from_numpy(image)[None], torch.from_numpy(labels), False), distance


def test_what_lies_around_a_labelled_piece_is_composed_from_what_looks_alike():
    given, distance = ring_case()
    found = [composed_object(given, np.random.default_rng(seed)) for seed in range(60)]
    found = [mask for mask in found if mask is not None]
    wall = (distance >= 20) & (distance < 30)
    walls = [mask for mask in found if (mask & wall).sum() > 0.7 * wall.sum()]
    assert any(mask[48, 48] for mask in walls)
    hollow = [mask for mask in walls if not mask[48, 48]]
    assert any((mask & ~wall).sum() < 0.02 * wall.sum() for mask in hollow)
    assert all(ndimage.label(mask, np.ones((3, 3)))[1] == 1 for mask in found)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_painted_is_seen_inside_and_nowhere_else(channels):
    image = torch.from_numpy(np.random.default_rng(0).integers(90, 110, (channels, 64, 64)).astype(np.uint8))
    mask = np.zeros((64, 64), bool)
    mask[20:44, 20:44] = True
    far = ndimage.distance_transform_edt(~mask) > 8
    contrasts, spreads = [], []
    for seed in range(20):
        found = painted(image, mask, np.random.default_rng(seed))
        assert found.dtype == torch.uint8
        assert torch.equal(found[:, far], image[:, far])
        inside = found[:, mask].float()
        contrasts.append(float((inside.mean() - 100).abs()))
        spreads.append(float(inside.mean(dim=1).std()) if channels > 1 else 0.0)
    assert np.median(contrasts) > 15
    if channels > 1:
        assert max(spreads) > 20
        assert min(spreads) < 2


def test_a_stretched_picture_is_a_square_with_its_objects_in_place():
    given = case()
    stretched = squared(dataclasses.replace(given, before=case(1)))
    rows, columns = stretched.labels.shape
    assert rows == columns == stretched.image.shape[1] == stretched.before.labels.shape[0]
    assert abs(rows * columns / given.labels.numel() - 1) < 0.05
    shares = [[float((one == n).float().mean()) for n in (1, 2)] for one in (given.labels, stretched.labels)]
    assert np.allclose(*shares, atol=0.02)
    assert squared(stretched) is stretched


def test_squared_examples_and_pictures_to_choose_by_have_no_margin():
    clicks = ClickConfig(size=32, squared=1.0, whole=1.0, synthetic=0.0, superpixels=0.0, carried=0.0)
    (shown,) = whole_examples([case()], clicks, 4)
    assert bool((shown.inside == 1).all())
    (framed,) = whole_examples([case()], dataclasses.replace(clicks, squared=0.0), 4)
    assert bool((framed.inside == 0).any())


def test_what_is_composed_is_never_asked_for_by_one_click():
    clicks = ClickConfig(size=32, synthetic=0.0, superpixels=0.0, composed=1.0, carried=0.0, box=0.3)
    sampler = ExampleSampler([[ring_case()[0]]], clicks, 0)
    lesson, random = ClickLesson(clicks), np.random.default_rng(0)
    given = [example for example in (sampler.example(n) for n in range(30)) if example.composed]
    assert len(given) > 20
    assert {example.weight for example in given} == {clicks.pseudo_weight}
    rounds = lesson._prompted(network(), given, random)
    kinds = {(len(prompts), prompts[0].region is None) for prompts in rounds.asked}
    assert (1, True) not in kinds
    assert (1, False) in kinds
    assert any(count > 1 for count, _ in kinds)


def test_another_network_answers_first_clicks_alone():
    first, own = network(1), network(2)
    calls = {first: [], own: []}
    clicks = ClickConfig(size=32, box=0.4, lasso=0.1)
    lesson = ClickLesson(clicks, first=first)

    def noting(rounds_answers):
        def answers(self, net, which=None, embedding=None):
            calls[net] += [
                (len(self.asked[n]), self.asked[n][0].region is None and self.prompts[n] == 1)
                for n in (range(len(self.asked)) if which is None else which)
            ]
            return rounds_answers(self, net, which, embedding)

        return answers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rounds, "answers", noting(Rounds.answers))
        given = [example for example in examples(20) if example.before is None]
        rounds = lesson._prompted(own, given, np.random.default_rng(4))
    assert calls[first]
    assert all(is_first for _, is_first in calls[first])
    assert any(not is_first for _, is_first in calls[own])
    assert all(len(asked) > 1 or asked[0].region is not None for asked in rounds.asked)


def test_a_network_may_learn_first_prompts_alone():
    lesson = ClickLesson(ClickConfig(size=32, rounds=1))
    given = [example for example in examples(12) if example.before is None]
    rounds = lesson._prompted(network(), given, np.random.default_rng(0))
    assert set(rounds.prompts) == {1}


def test_an_answer_that_is_there_already_is_corrected():
    clicks = ClickConfig(size=32, box=0.0, lasso=0.0, given=1.0)
    lesson = ClickLesson(clicks, first=network(1))
    given = [example for example in examples(20) if example.before is None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClickLesson, "_number_of_prompts", lambda *_: 1)
        rounds = lesson._prompted(network(2), given, np.random.default_rng(4))
    assert rounds.answered == set(range(len(given)))
    for which, (prompt,) in enumerate(rounds.asked):
        assert not rounds.is_first_click(which)
        bent, place = rounds.maps[which, 0] > 0.5, tuple(prompt.places[0].round().astype(int))
        assert bool(rounds.targets[which][place]) == prompt.positive
        assert (bent != rounds.targets[which]).any()
        if (bent & rounds.targets[which]).any() and not prompt.positive:
            assert bent[place]
    assert {prompts[0].positive for prompts in rounds.asked} == {True, False}


def test_a_network_that_holds_both_is_asked_as_sessions_ask_it():
    torch.manual_seed(0)
    both = ClickUNet(ClickUNetConfig(features=(4, 8), further=True)).eval()
    rounds = Rounds([example for example in examples(12) if example.before is None][:3], None)
    rounds.click(0, None)
    rounds.draw_box(1)
    rounds.click(2, None)
    rounds.click(2, torch.zeros(32, 32, dtype=torch.bool))
    with torch.inference_mode():
        logits, scores = ask(both, rounds, [1, 0, 2])
        for place, n in enumerate([1, 0, 2]):
            wanted, score = both.ranked(rounds.seen(n)[None], further=n != 0)
            assert torch.allclose(logits[place], wanted[0], atol=1e-5)
            assert torch.allclose(scores[place], score[0].sigmoid(), atol=1e-5)


def test_scores_of_a_network_for_further_clicks_leave_the_first_out(monkeypatch):
    shown = whole_examples([case(), case(1)], ClickConfig(size=32, first="another"), 4)
    first, own, asked = network(2), network(6), []

    def noting(self, net, *given, answers=Rounds.answers):
        asked.append((net, {len(prompts) for prompts in self.asked}, self.asked[0][0].region is None))
        return answers(self, net, *given)

    monkeypatch.setattr(Rounds, "answers", noting)
    alone = click_dice(own, {"some": shown})
    assert set(alone) == {"1 click", "3 clicks", "5 clicks"}
    assert {net for net, _, _ in asked} == {own}
    asked.clear()
    helped = click_dice(own, {"some": shown}, first)
    assert set(helped) == {"3 clicks", "5 clicks", "box", "box + 3 clicks"}
    assert [(counts, by_click) for net, counts, by_click in asked if net is first] == [({1}, True)]
    assert len(asked) == 5 + 4


def test_a_run_may_name_who_answers_first_clicks(config, tmp_path):  # noqa: F811
    folder = run_training(config, output=tmp_path / "first", device="cpu")
    text = config.read_text()
    config.write_text(text.replace("size = 32\n", f'size = 32\nfirst = "{folder / "prompt-unet.toml"}"\n', 1))
    run_training(config, output=tmp_path / "further", device="cpu")
    assert (tmp_path / "further" / "prompt-unet.safetensors").is_file()
    config.write_text(text.replace("size = 32\n", 'size = 32\nfirst = "hippocampus-slim-unetr"\n', 1))
    with pytest.raises(
        ConfigError, match=r"clicks\.first is hippocampus-slim-unetr, which answers no clicks"
    ):
        run_training(config, output=tmp_path / "wrong", device="cpu")


def test_some_answers_about_other_objects_are_corrected_by_a_click():
    numbers = torch.zeros(32, 32, dtype=torch.int32)
    numbers[2:12, 2:12], numbers[4:14, 18:30], numbers[20:30, 8:20] = 1, 2, 3
    shown = [dataclasses.replace(example, others=numbers) for example in examples(4)]
    net = student(1).eval()
    rounds, images = other_objects(shown, 3, 0.25, 0.5, np.random.default_rng(0))
    embedding = net.encode(torch.randn(4, 3, 32, 32))[images]
    correct_others(net, rounds, embedding, np.random.default_rng(1))
    counts = [len(prompts) for prompts in rounds.asked]
    assert set(counts) == {1, 2}
    assert {which for which, count in enumerate(counts) if count == 2} == rounds.answered


@pytest.mark.parametrize("further", [False, True])
def test_a_run_may_begin_with_either_of_two_networks_in_a_file(config, tmp_path, further):  # noqa: F811
    torch.manual_seed(3)
    both = ClickUNet(ClickUNetConfig(features=(4, 8), further=True))
    start = tmp_path / "both.safetensors"
    metadata = {"network": "click-unet", "constructor": {"features": [4, 8], "further": True}}
    save_weights(both.state_dict(), start, metadata)
    text = config.read_text()
    if further:
        first = run_training(config, output=tmp_path / "first", device="cpu") / "prompt-unet.toml"
        text = text.replace("size = 32\n", f'size = 32\nfirst = "{first}"\n', 1)
    config.write_text(text.replace("seed = 5\n", f'seed = 5\ninitial_weights = "{start}"\n'))
    read, alone = read_config(config), ClickUNet(ClickUNetConfig(features=(4, 8)))
    _begin(alone, read)
    wanted = both.further if further else both
    for name, value in alone.state_dict().items():
        assert torch.equal(value, wanted.state_dict()[name]), name
    run_training(config, output=tmp_path / "run", device="cpu")
