"""Distillation: a network learns a teacher's answers, or the features of its encoder."""

import dataclasses

import numpy as np
import pytest
import torch

from napari_effseg import CardError, ConfigError, UnknownModel, nets
from napari_effseg.engine.session.body import SliceImage
from napari_effseg.engine.session.sam import EmbeddingCache, SamBody
from napari_effseg.training import run_training
from napari_effseg.training.clicks.asking import ask
from napari_effseg.training.clicks.config import ClickConfig
from napari_effseg.training.clicks.lessons import ClickLesson, FeatureLesson
from napari_effseg.training.clicks.others import other_objects
from napari_effseg.training.clicks.rounds import Rounds
from napari_effseg.training.clicks.sampler import Example, ExampleSampler
from napari_effseg.zoo import find_card, load_network
from napari_effseg.zoo.foreign.add import add_model
from napari_effseg.zoo.foreign.draft import AddOptions

from .test_clicks import case, config  # noqa: F401  a fixture

STUDENT = {"dim": 24, "img_size": 32, "decoder": "sam", "decoder_mlp_dim": 32}


def student(seed=0, **changes):
    torch.manual_seed(seed)
    return nets.create("hrmedsegsam", **STUDENT | changes)


def examples(count=3, size=32):
    sampler = ExampleSampler([[case(0), case(1)]], ClickConfig(size=size), 3)
    return [sampler.example(number) for number in range(count)]


@pytest.fixture
def teacher(tmp_path, monkeypatch):
    """A small random SAM, installed as official checkpoints are."""
    monkeypatch.setenv("EFFSEG_MODELS", str(tmp_path / "models"))
    torch.manual_seed(5)
    path = tmp_path / "sam.pth"
    net = nets.create("sam", img_size=64, encoder_dim=32, encoder_depth=8, encoder_heads=2)
    torch.save(net.state_dict(), path)
    return add_model(path, AddOptions(name="small-sam")).card


@pytest.fixture
def distill(config):  # noqa: F811
    """Write a configuration whose student is HRMedSegSAM."""

    def write(table, **changes):
        text = config.read_text().replace('network = "click-unet"', 'network = "hrmedsegsam"')
        constructor = "\n".join(
            f"{key} = {value!r}".replace("'", '"') for key, value in (STUDENT | changes).items()
        )
        text = text.replace("features = [4, 8]", constructor)
        config.write_text(text.replace("[run]", f"[distill]\n{table}\n\n[run]"))
        return config

    return write


def test_networks_of_sams_layout_are_asked_as_sessions_ask_them():
    net = student().eval()
    shown = [dataclasses.replace(example, inside=None, before=None) for example in examples()]
    rounds = Rounds(shown, None)
    rounds.click(0, None)
    rounds.draw_box(1)
    rounds.click(1, torch.zeros(32, 32, dtype=torch.bool))
    rounds.remember(1, torch.rand(32, 32))
    rounds.draw_lasso(2)
    with torch.inference_mode():
        logits, scores = ask(net, rounds, [2, 0, 1])
    assert logits.shape == (3, 4, 32, 32)
    assert scores.shape == (3, 4)
    body = SamBody(net, torch.device("cpu"), EmbeddingCache())
    for place, n in enumerate([2, 0, 1]):
        before = torch.logit(rounds.maps[n, 0], eps=1e-4) if n in rounds.answered else None
        for hypothesis in body.answer(SliceImage((n,), shown[n].image), rounds.asked[n], before, None):
            assert min(float((mask - hypothesis.logits).abs().max()) for mask in logits[place]) < 1e-3


def test_rounds_at_another_size_ask_the_same():
    rounds = Rounds([dataclasses.replace(example, before=None) for example in examples()], None)
    rounds.click(0, None)
    rounds.draw_box(1)
    rounds.remember(1, torch.rand(32, 32))
    other = rounds.at(64)
    assert other.images.shape == (3, 3, 64, 64)
    assert other.answered == {1}
    assert list(other.prompts) == list(rounds.prompts)
    before, after = (np.argwhere(one.maps[0, 1].numpy()).mean(axis=0) for one in (rounds, other))
    assert np.abs((before + 0.5) * 2 - (after + 0.5)).max() <= 0.51
    assert abs(float(other.maps[1, 3].mean() - rounds.maps[1, 3].mean())) < 0.05
    assert rounds.at(32) is rounds


def test_a_teachers_answers_are_learned():
    net, teacher = student(1), student(2).eval()
    lesson = ClickLesson(ClickConfig(size=32), teacher, 32, 1.0)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        loss = lesson.loss(net, examples(2), np.random.default_rng(0))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert min(losses[-3:]) < losses[0]
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_all_answers_at_once_are_the_one_and_the_alternatives():
    net = student().eval()
    prompts = ((torch.tensor([[[9.0, 12.0]]]), torch.tensor([[1]])), None, None)
    with torch.inference_mode():
        embedding = net.encode(torch.rand(1, 3, 32, 32))
        found = [
            net.decode(embedding, *prompts, multimask=kind, scores=True) for kind in (False, True, "all")
        ]
    for one, several, together in zip(*found, strict=True):
        assert torch.allclose(torch.cat([one, several], dim=1), together, atol=1e-5)


def test_an_image_is_embedded_once_for_all_answers(monkeypatch):
    net, seen = student(), []
    encode = net.encode
    monkeypatch.setattr(net, "encode", lambda images: seen.append(len(images)) or encode(images))
    rounds = Rounds(examples(), None)
    for _ in range(3):
        for which in range(3):
            rounds.click(which, None)
        rounds.answers(net)
        rounds.answers(net, [2])
    assert seen == [3]


def test_other_objects_are_pieces_of_their_images_and_clicked_inside():
    shown = examples(6)
    numbers = torch.zeros(32, 32, dtype=torch.int32)
    numbers[2:12, 2:12], numbers[20:30, 2:12], numbers[4:14, 18:30], numbers[31, 31] = 1, 1, 2, 3
    shown = [
        dataclasses.replace(example, others=numbers if n % 2 else None) for n, example in enumerate(shown)
    ]
    rounds, images = other_objects(shown, 3, 0.25, 0.0, np.random.default_rng(0))
    assert set(images) == {1, 3, 5}
    assert set(rounds.weights.tolist()) == {0.25}
    for which, target in enumerate(rounds.targets):
        (click,) = rounds.asked[which]
        assert click.positive
        assert target[tuple(click.places[0].round().astype(int))]
        assert len(numbers[target].unique()) == 1
        assert int(target.sum()) in (100, 120)
    assert other_objects(shown[::2], 3, 0.25, 0.0, np.random.default_rng(0)) is None
    boxed, _ = other_objects(shown, 3, 0.25, 1.0, np.random.default_rng(0))
    assert all(prompts[0].box is not None for prompts in boxed.asked)


def test_other_objects_change_what_is_learned():
    sampler = ExampleSampler([[case(0), case(1)]], ClickConfig(size=32, others=3), 3)
    shown = [sampler.example(number) for number in range(4)]
    assert any(example.others is not None for example in shown)
    losses = []
    for others in (0, 3):
        lesson = ClickLesson(ClickConfig(size=32, others=others))
        torch.manual_seed(0)
        losses.append(float(lesson.loss(student(1), shown, np.random.default_rng(0)).detach()))
    assert losses[1] > losses[0] + 0.1


def test_a_teachers_features_are_learned():
    net, teacher = student(1), student(2, img_size=64)
    lesson = FeatureLesson(teacher)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    before = lesson.scores(net, {"some": examples(2)})["some"]
    for _ in range(12):
        loss = lesson.loss(net, examples(2), np.random.default_rng(0))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert lesson.scores(net, {"some": examples(2)})["some"] > before + 0.05


@pytest.mark.parametrize("learns", ["masks", "features"])
def test_a_run_learns_from_an_installed_checkpoint(teacher, distill, tmp_path, learns):
    path = distill(f'teacher = "{teacher.name}"\nlearns = "{learns}"')
    folder = run_training(path, output=tmp_path / "run", device="cpu")
    card = find_card(folder / "prompt-unet.toml")
    assert load_network(card).config.dim == STUDENT["dim"]


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        ('teacher = "nobody"', UnknownModel, "nobody"),
        ('teacher = "hippocampus-slim-unetr"', ConfigError, "answers no clicks"),
        ('teacher = "x"\nlearns = "all"', ConfigError, "distill.learns"),
        ('teacher = "x"\nweight = 2.0', ConfigError, "distill.weight"),
        ("weight = 0.5", ConfigError, "lacks teacher"),
    ],
)
def test_what_cannot_be_learned_is_said(distill, tmp_path, table, error, words):
    with pytest.raises((error, CardError), match=words):
        run_training(distill(table), output=tmp_path / "run", device="cpu")


def test_images_of_another_size_than_the_students_are_refused(distill, tmp_path, teacher):
    path = distill(f'teacher = "{teacher.name}"', img_size=64)
    with pytest.raises(ConfigError, match="sees 64"):
        run_training(path, output=tmp_path / "run", device="cpu")


def test_examples_without_a_margin_are_all_inside():
    rounds = Rounds([Example(torch.zeros(3, 8, 8), torch.ones(8, 8, dtype=torch.bool), 1.0)], None)
    assert rounds.inside.all()
