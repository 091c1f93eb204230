"""Click training: what is shown, what is asked for, and a run that goes on where it stopped."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from napari_effseg import Cancelled, ConfigError, LabelMap, Volume
from napari_effseg.engine.session.frames import Framing, Scaling, show
from napari_effseg.nets.click_unet import ClickUNet, ClickUNetConfig
from napari_effseg.training import run_training
from napari_effseg.training.clicks.appearance import _Extras, change_appearance, synthetic
from napari_effseg.training.clicks.cases import ObjectCase, slice_cases
from napari_effseg.training.clicks.config import ClickConfig
from napari_effseg.training.clicks.frames import draw_cut, draw_framing
from napari_effseg.training.clicks.lessons import ClickLesson
from napari_effseg.training.clicks.loss import hypotheses_loss
from napari_effseg.training.clicks.neighbours import Bend, followed_object
from napari_effseg.training.clicks.rounds import Rounds
from napari_effseg.training.clicks.sampler import Example, ExampleSampler
from napari_effseg.training.clicks.superpixels import superpixel_labels
from napari_effseg.training.clicks.targets import choose_target, finished_neighbours

CONFIG = """
[card]
name = "prompt-unet"
title = "Anything"
summary = "Outlines what is clicked on."
intended_use = "Tests."
limits = ["Nothing else."]
task = "promptable"
dimensions = 2
network = "click-unet"
licence = "Apache-2.0"

[card.constructor]
features = [4, 8]

[card.input]
modality = ["OT"]
orientation = "LPS"

[[card.input.channels]]
role = "red"
description = "red"

[[card.input.channels]]
role = "green"
description = "green"

[[card.input.channels]]
role = "blue"
description = "blue"

[card.input.intensity]
rule = "zscore"

[card.field_of_view]
minimum_mm = [0.001, 0.001, 0.001]
maximum_mm = [10000.0, 10000.0, 10000.0]
locate = "anywhere"

[card.window]
size = [32, 32]
overlap = 0.0
multiple_of = 2

[card.output]
activation = "sigmoid"

[[card.labels]]
id = 1
name = "object"
colour = [230, 159, 0]
code = { scheme = "99EFFSEG", value = "object", meaning = "Object" }

[data]
folder = "pictures"

[clicks]
choice_folders = ["pictures"]
size = 32

[run]
steps = 4
batch_size = 2
validate_every = 2
seed = 5

[optimiser]
warmup_steps = 1
average_decay = 0.5
"""


def blobs(seed, shape=(48, 40)):
    random = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(random.standard_normal(shape), 5)
    labels = np.digitize(field, np.quantile(field, [0.6, 0.85])).astype(np.uint8)
    image = 60 * labels + random.integers(0, 40, shape)
    return image.astype(np.uint8), labels


def case(seed=0, instances=False):
    image, labels = blobs(seed)
    return ObjectCase("blobs", torch.from_numpy(image)[None], torch.from_numpy(labels).int(), instances)


@pytest.fixture
def config(tmp_path):
    data = tmp_path / "pictures"
    (data / "images").mkdir(parents=True)
    (data / "labels").mkdir()
    entries = []
    for number in range(3):
        image, labels = blobs(number)
        entry = {"image": f"images/{number}.png", "label": f"labels/{number}.png"}
        Image.fromarray(image).save(data / entry["image"])
        Image.fromarray(labels).save(data / entry["label"])
        entries.append(entry)
    document = {"labels": {"0": "background", "1": "a", "2": "b"}, "training": entries, "test": []}
    (data / "dataset.json").write_text(json.dumps(document))
    path = tmp_path / "clicks.toml"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_framing_of_the_whole_square_turns_and_mirrors_it(turn, flip):
    image = torch.from_numpy(np.random.default_rng(0).random((2, 16, 16), np.float32))
    shown = show(image, Framing((7.5, 7.5), 16.0, turn * np.pi / 2, flip), 16)
    images = [image.rot90(quarters, (1, 2)) for quarters in range(4)]
    images += [turned.flip(1) for turned in images]
    close = [n for n, other in enumerate(images) if torch.allclose(shown, other, atol=1e-4)]
    assert len(close) == 1
    assert (close[0] >= 4) == flip


def test_image_and_object_are_framed_alike():
    _, labels = blobs(3)
    random = np.random.default_rng(1)
    for _ in range(20):
        framing = draw_framing(labels == 2, 0.3, 5.0, random)
        mask = torch.from_numpy((labels == 2).astype(np.float32))[None]
        near, blurred = show(mask, framing, 64, "nearest"), show(mask, framing, 64)
        assert ((near > 0.5) != (blurred > 0.5)).float().mean() < 0.1


def test_the_frame_around_an_object_holds_it():
    target = np.zeros((60, 80), bool)
    target[10:20, 50:70] = True
    random = np.random.default_rng(2)
    for _ in range(50):
        framing = draw_framing(target, 0.0, 5.0, random)
        if framing.turn % (np.pi / 2) == 0:
            shown = show(torch.from_numpy(target)[None].float(), framing, 128)[0] > 0.5
            assert shown.sum() * (framing.side / 128) ** 2 > 0.8 * target.sum()


def test_a_frame_that_cuts_an_object_shows_a_part_of_it():
    target = np.zeros((200, 220), bool)
    target[40:160, 50:170] = True
    for seed in range(40):
        framing = draw_cut(target, np.random.default_rng(seed))
        assert framing.side < 1.2 * 120
        assert (show(torch.from_numpy(target)[None].float(), framing, 32)[0] > 0.5).any()


def test_what_a_frame_hides_of_an_object_is_known():
    labels = torch.zeros(200, 200, dtype=torch.uint8)
    labels[20:180, 20:180] = 1
    one = ObjectCase("one", torch.zeros(1, 200, 200, dtype=torch.uint8), labels, instances=False)
    config = ClickConfig(size=32, whole=0.0, cut=0.5, synthetic=0.0, superpixels=0.0, carried=0.0)
    sampler = ExampleSampler([[one]], config, seed=0)
    hidden = []
    for number in range(60):
        example = sampler.example(number)
        shown = float(example.target.sum())
        hidden.append(example.hidden / (example.hidden + shown))
    assert max(hidden) > 0.9
    assert np.mean(np.asarray(hidden) < 0.05) > 0.3


def test_an_answer_that_shows_all_of_a_part_is_no_good_answer():
    truth = torch.ones(1, 8, 8, dtype=torch.bool)
    masks, weights = torch.full((1, 1, 8, 8), 9.0), torch.ones(1)

    def loss(score, hidden):
        scores = torch.tensor([[score]])
        return float(
            hypotheses_loss(masks, scores, truth, torch.tensor([True]), weights, torch.tensor([hidden]))
        )

    assert loss(1.0, 0.0) < loss(0.25, 0.0)
    assert loss(0.25, 3 * 64.0) < loss(1.0, 3 * 64.0)


def test_with_stored_statistics_learning_changes_none():
    network = ClickUNet(ClickUNetConfig(features=(4, 8)))
    before = {name: value.clone() for name, value in network.named_buffers()}
    examples = [ExampleSampler([], ClickConfig(size=32, synthetic=1.0), 0).example(n) for n in range(2)]
    clicks = ClickConfig(size=32, stored_statistics=True)
    ClickLesson(clicks).loss(network, examples, np.random.default_rng(0)).backward()
    assert all(torch.equal(before[name], value) for name, value in network.named_buffers())


@pytest.mark.parametrize("instances", [False, True])
def test_a_target_is_made_of_whole_objects(instances):
    given = case(instances=instances)
    random = np.random.default_rng(0)
    pieces = sum(ndimage.label(given.labels.numpy() == n, np.ones((3, 3)))[1] for n in (1, 2))
    seen = set()
    for _ in range(60):
        target = choose_target(given, random)
        if target is not None:
            seen.add(target.tobytes())
            inside = np.unique(given.labels.numpy()[target])
            assert 0 not in inside
    assert 1 < len(seen) <= (2 if instances else 3 + pieces)


def test_superpixels_cover_the_image_with_numbers_from_one():
    labels = superpixel_labels(case().image, np.random.default_rng(0))
    assert labels.shape == (48, 40)
    assert labels.min() >= 1
    assert labels.unique().numel() > 1


def test_slices_of_a_volume_have_square_pixels_and_their_labels():
    data = np.zeros((20, 24, 10), np.int16)
    data[5:15, 6:18, 2:8] = 100
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    found = list(
        slice_cases(
            "box",
            Volume(data, affine),
            LabelMap((data > 0).astype(np.uint8), affine),
            512,
            2,
            np.random.default_rng(0),
        )
    )
    assert {tuple(one.image.shape[1:]) for one in found} == {(24, 20), (20, 20), (20, 24)}
    for one in found:
        inside = one.labels > 0
        assert one.image[0][inside].float().mean() > 200
        assert one.image[0][~inside].float().mean() < 30


def test_an_example_is_a_function_of_its_number():
    config = ClickConfig(size=32)
    one, other = (ExampleSampler([[case(0), case(1)], [case(2, True)]], config, 7) for _ in range(2))
    for number in (0, 5, 11):
        a, b = one.example(number), other.example(number)
        assert torch.equal(a.image, b.image)
        assert torch.equal(a.target, b.target)
        assert a.image.isfinite().all()
        assert a.target.any()


BLANK = torch.zeros(1, 40, 40, dtype=torch.uint8)


def two_pieces():
    labels = torch.zeros(40, 40, dtype=torch.int32)
    labels[5:12, 5:12] = 1
    labels[25:35, 25:35] = 1
    return labels


def test_a_piece_is_followed_into_the_next_slice():
    before, labels = two_pieces(), two_pieces().roll(1, 0)
    case = ObjectCase("a", BLANK, labels, False, ObjectCase("b", BLANK, before, False))
    for seed in range(20):
        there, target = followed_object(case, np.random.default_rng(seed))
        assert (np.roll(there, 1, 0) == target).all()


def test_an_object_that_has_ended_is_followed_to_nothing():
    labels = torch.zeros(40, 40, dtype=torch.int32)
    case = ObjectCase("a", BLANK, labels, False, ObjectCase("b", BLANK, two_pieces(), False))
    there, target = followed_object(case, np.random.default_rng(0))
    assert there.any()
    assert not target.any()


def test_a_bent_object_is_near_what_it_was():
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[20:44, 16:50] = True
    shared = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        bent = Bend.draw(mask, random).mask(mask, random) > 0.5
        shared.append(2 * float((bent & mask).sum()) / float(bent.sum() + mask.sum()))
    assert min(shared) > 0.5
    assert 0.7 < np.mean(shared) < 0.95
    still = Bend.draw(mask, random, strength=0.0).mask(mask, random) > 0.5
    assert (still == mask).float().mean() > 0.98


def test_slices_beyond_the_ends_show_what_was_there_before():
    data = np.zeros((20, 20, 20), np.uint8)
    data[6:14, 6:14, 6:14] = 1
    volume, labels = Volume(data * 100, np.eye(4)), LabelMap(data, np.eye(4))
    random = np.random.default_rng(0)
    cases = list(slice_cases("a", volume, labels, 32, 2, random, ends=True))
    ended = [case for case in cases if not case.labels.any()]
    assert len(cases) == 9
    assert len(ended) == 3
    assert all(case.before is not None and case.before.labels.any() for case in ended)


def test_an_object_of_the_slice_before_asks_without_a_prompt():
    config = ClickConfig(size=32, carried=1.0, synthetic=1.0)
    example = ExampleSampler([[case()]], config, 3).example(0)
    assert example.before is not None
    rounds = Rounds([example], None)
    assert torch.equal(rounds.seen(0)[-1], example.before.mask)
    assert rounds.seen(0)[-2].any()
    assert not rounds.maps.any()
    assert not rounds.asked[0]
    network = ClickUNet(ClickUNetConfig(features=(4, 8)))
    assert torch.isfinite(ClickLesson(config).loss(network, [example] * 2, np.random.default_rng(0)))


def test_appearance_changes_no_shape_and_stays_finite():
    for seed in range(25):
        ((image, labels),) = synthetic(32, np.random.default_rng(seed))
        changed = change_appearance(image, np.random.default_rng(seed))
        assert changed.shape == (3, 32, 32)
        inside = torch.ones(1, 32, 32)
        assert Scaling.of(changed, inside).apply(changed, inside).isfinite().all()
        assert labels.min() == 1


def test_walls_enclose_what_is_inside_and_tubes_follow_a_line():
    rows, columns = np.indices((60, 60))
    labels = torch.from_numpy(((rows - 30) ** 2 + (columns - 30) ** 2 < 24**2).astype(np.int64))
    field = torch.from_numpy(((columns - 5) / 20).astype(np.float32))
    found = _Extras(2, ((1, 0.5),), 0.0).add(labels, field)
    assert set(found.unique().tolist()) == {0, 1, 2}
    assert not ((ndimage.binary_dilation((found == 2).numpy()) & (found == 0).numpy()).any())
    assert int((found == 2).sum()) == pytest.approx(int((labels == 1).sum()) / 4, rel=0.15)
    assert int((found != 0).sum()) == int((labels != 0).sum())
    piped = _Extras(2, (), 0.075).add(labels, field)
    assert set(np.argwhere((piped == 2).numpy())[:, 1].tolist()) == {4, 5, 6}


def test_synthetic_images_have_walls_and_tubes_now_and_then():
    drawn = [_Extras.draw(4, np.random.default_rng(seed)) for seed in range(40)]
    assert (
        {len(extras.walls) > 0 for extras in drawn} == {extras.tube > 0 for extras in drawn} == {True, False}
    )
    for seed, extras in enumerate(drawn[:10]):
        for image, labels in synthetic(32, np.random.default_rng(seed), 0.2):
            assert image.shape == (3, 32, 32)
            assert labels.min() >= 1
            assert labels.max() <= 8 + 4
        assert extras.count == len(extras.walls) + bool(extras.tube)


def test_the_best_hypothesis_alone_learns_from_the_first_prompt():
    truth = torch.zeros(1, 8, 8, dtype=torch.bool)
    truth[:, :4] = True
    good, bad = 8 * (truth.float() - 0.5), -8 * (truth.float() - 0.5)
    scores, weights = torch.zeros(1, 3), torch.ones(1)

    def loss(first, *masks):
        return float(
            hypotheses_loss(
                torch.stack(masks, 1), scores, truth, torch.tensor([first]), weights, torch.zeros(1)
            )
        )

    assert loss(True, bad, good, bad) < loss(True, bad, bad, bad) - 1
    assert loss(False, good, bad, bad) < loss(False, bad, good, bad) - 1


def test_clicks_come_where_the_answer_is_wrong():
    target = torch.zeros(32, 32, dtype=torch.bool)
    target[8:20, 8:20] = True
    rounds = Rounds([Example(torch.zeros(3, 32, 32), target, 1.0)], None)
    assert rounds.click(0, None)
    assert rounds.maps[0, 1][target].sum() == rounds.maps[0, 1].sum() > 0
    assert rounds.click(0, torch.ones(32, 32, dtype=torch.bool))
    assert rounds.maps[0, 2][~target].sum() == rounds.maps[0, 2].sum() > 0
    assert not rounds.click(0, target)
    assert rounds.prompts[0] == 2


def test_finished_neighbours_are_other_objects():
    given = case(instances=True)
    target = given.labels.numpy() == 1
    seen = [finished_neighbours(given, target, np.random.default_rng(seed)) for seed in range(12)]
    assert not any((found & target).any() for found in seen)
    assert any(found.any() for found in seen)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(config, tmp_path):
    whole = run_training(config, output=tmp_path / "whole", device="cpu")
    asked = 0

    def stop():
        nonlocal asked
        asked += 1
        return asked > 8  # three images to learn from, three to choose by, two steps

    part = tmp_path / "part"
    with pytest.raises(Cancelled, match="after 2 steps"):
        run_training(config, output=part, device="cpu", cancel=stop)
    run_training(config, output=part, resume=True, device="cpu")
    one, other = (torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (whole, part))
    assert one["state"]["step"] == other["state"]["step"] == 4
    for name, value in one["net"].items():
        assert torch.equal(value, other["net"][name]), name
    assert (whole / "prompt-unet.safetensors").is_file()


def test_clicks_for_another_network_are_refused(config, tmp_path):
    text = config.read_text().replace('network = "click-unet"', 'network = "unet"')
    config.write_text(text.replace("features = [4, 8]", "in_channels = 3\nout_channels = 1"))
    with pytest.raises(ConfigError, match="takes no clicks"):
        run_training(config, output=tmp_path / "run", device="cpu")
