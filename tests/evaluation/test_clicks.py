"""The simulated user, and the protocol that every promptable model is measured by."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_effseg import ConfigError, LabelMap, Volume, save
from napari_effseg.engine.session.body import Hypothesis
from napari_effseg.engine.session.local import LocalSession
from napari_effseg.evaluation.clicks import (
    Asked,
    ClickOptions,
    ObjectClicks,
    SetClicks,
    Subject,
    Summary,
    ask_for_solid,
    ask_for_target,
    evaluate_clicks,
    mean_of_sets,
    solids_of,
    targets_of,
)
from napari_effseg.evaluation.clicks.user import correcting_click, flat_box

SPACING = (1.0, 1.5, 2.0)
AFFINE = np.diag([*SPACING, 1.0])


class Seer:
    """A body that sees the object: it is what is bright."""

    def answer(self, image, prompts, previous, locked):
        return (Hypothesis(torch.where(image.pixels[0] > 0.5, 4.0, -4.0), 1.0),)

    def carry(self, image, before, last, locked):
        return self.answer(image, (), before, locked)[0]


class Blind:
    """A body that answers nothing; what is clicked on is all there is."""

    def answer(self, image, prompts, previous, locked):
        return (Hypothesis(torch.full(image.pixels.shape[1:], -4.0), 0.0),)


def ball(shape=(20, 16, 12), radius=9.0):
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) * SPACING
    middle = (np.asarray(shape) - 1) / 2 * SPACING
    return np.linalg.norm(places - middle, axis=-1) < radius


def picture_of(mask):
    return Volume((mask * 255).astype(np.uint8), AFFINE)


def random_mask(seed, shape=(14, 11)):
    return np.random.default_rng(seed).random(shape) < 0.5


@given(st.integers(0, 10_000))
def test_a_click_lies_where_the_mask_is_wrong_and_says_what_is_there(seed):
    truth, mask = random_mask(seed), random_mask(seed + 1)
    click = correcting_click(truth, mask, (1.0, 2.0))
    assert truth[click.index] != mask[click.index]
    assert click.positive == truth[click.index]
    assert click == correcting_click(truth, mask, (1.0, 2.0))


def test_a_click_goes_into_the_depth_of_the_largest_piece():
    truth = np.zeros((20, 20), bool)
    truth[2:5, 2:5], truth[8:17, 8:17] = True, True
    assert correcting_click(truth, np.zeros_like(truth), (1, 1)).index == (12, 12)
    too_much = truth.copy()
    too_much[:, 17:] = True
    assert not correcting_click(truth, too_much, (1, 1)).positive
    assert correcting_click(truth, truth, (1, 1)) is None


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_box_is_as_tight_as_can_be(axis):
    truth = np.zeros((9, 8), bool)
    truth[2:5, 3:7] = True
    low, high = flat_box(truth, axis, 6)
    assert (low[axis], high[axis]) == (6, 7)
    assert [high[other] - low[other] for other in range(3) if other != axis] == [3, 4]


@given(st.integers(0, 10_000), st.booleans(), st.integers(1, 5))
@settings(max_examples=25)
def test_objects_are_pieces_of_one_label_and_the_same_every_time(seed, instances, most):
    random = np.random.default_rng(seed)
    labels = np.kron(random.integers(0, 4, (4, 4, 2)), np.ones((4, 4, 3), int))
    found, again = (
        solids_of(labels, {1: "one"}, instances, most, np.random.default_rng(seed)) for _ in range(2)
    )
    assert 0 < len(found) <= most
    for solid, same in zip(found, again, strict=True):
        assert set(np.unique(labels[solid.voxels])) == {solid.label}
        assert (solid.voxels == same.voxels).all()
    assert len({solid.voxels.tobytes() for solid in found}) == len(found)


def test_planes_of_long_voxels_are_left_out():
    (solid,) = solids_of(ball().astype(int), {}, False, 3, np.random.default_rng(0))
    assert [target.axis for target in targets_of(solid, SPACING)] == [0, 1, 2]
    assert [target.axis for target in targets_of(solid, (1.0, 1.0, 8.0))] == [2]
    for target in targets_of(solid, SPACING):
        assert (target.truth == np.take(ball(), target.index, target.axis)).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_who_sees_the_object_needs_one_prompt_and_the_session_is_left_empty(axis):
    (solid,) = solids_of(ball().astype(int), {}, False, 1, np.random.default_rng(0))
    target = list(targets_of(solid, SPACING))[axis]
    session = LocalSession(Volume(picture_of(ball()).data, np.eye(4)), Seer())
    asked = ask_for_target(session, target, SPACING, clicks=6)
    assert asked.clicks == (1.0,) * 6
    assert asked.box == (1.0,) * 6
    assert len(asked.seconds) == 2  # nobody is asked once nothing is wrong
    assert not session.prompts
    assert not session.mask.any()


def test_who_sees_nothing_gains_a_voxel_a_click():
    (solid,) = solids_of(ball().astype(int), {}, False, 1, np.random.default_rng(0))
    target = next(targets_of(solid, SPACING))
    asked = ask_for_target(LocalSession(picture_of(ball()), Blind()), target, SPACING, clicks=5)
    pixels = target.truth.sum()
    assert asked.clicks == tuple(2 * n / (n + pixels) for n in range(1, 6))
    assert asked.box[0] == 0.0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_object_of_a_volume_is_carried_on(axis):
    (solid,) = solids_of(ball().astype(int), {}, False, 1, np.random.default_rng(0))
    session = LocalSession(Volume(picture_of(ball()).data, np.eye(4)), Seer())
    dice = ask_for_solid(session, solid, axis, SPACING)
    assert len(dice) == 4
    assert list(dice) == sorted(dice)
    assert dice[-1] > 0.95
    assert not session.mask.any()


def clicked(*clicks, task="one"):
    return ObjectClicks("case", task, 1, 2, 0, 99, Asked(clicks, (0.5,) * 6, (0.1,)))


def test_numbers_of_one_curve():
    one = clicked(0.2, 0.4, 0.6, 0.91, 0.95)
    assert one.clicks_to_enough == 4
    assert one.auc(5) == pytest.approx((0.3 + 0.5 + 0.755 + 0.93) / 4)
    assert one.auc(10) is None
    assert clicked(*[0.7] * 10).auc(10) == pytest.approx(0.7)
    assert Summary.of([one, clicked(*[0.7] * 5)]).clicks_to_90 == 4.5  # the cap, 5, for the other


def test_each_set_counts_alike():
    large = SetClicks("a", "a", "seen", 2, 9, (clicked(*[0.2] * 5),) * 9)
    small = SetClicks("b", "b", "choice", 3, 1, (clicked(*[0.8] * 5),))
    means = mean_of_sets([large, small])
    assert list(means) == ["seen", "choice", "pictures", "volumes", "all sets"]
    assert means["all sets"].clicks_3 == pytest.approx(0.5)
    assert means["choice"].clicks_3 == pytest.approx(0.8)
    assert means["all sets"].solid is None


def dataset(folder: Path, labels: np.ndarray, **more: object) -> Path:
    folder.mkdir()
    save(picture_of(labels > 0), folder / "image.nii.gz")
    save(LabelMap(labels.astype(np.uint8), AFFINE), folder / "label.nii.gz")
    cases = [{"image": "image.nii.gz", "label": "label.nii.gz"}]
    document = {"name": folder.name, "labels": {"1": "ball"}, "test": cases, "training": cases, **more}
    (folder / "dataset.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_data_sets_are_measured_through_sessions(tmp_path):
    folder = dataset(tmp_path / "balls", ball().astype(int))
    seer = Subject("seer", lambda volume: LocalSession(volume, Seer()))
    options = ClickOptions("all", clicks=5, solids=True)
    found = evaluate_clicks(seer, [("choice", folder)], options)
    (one,) = found.sets
    assert (one.folder, one.group, one.dimensions, one.cases) == ("balls", "choice", 3, 2)
    assert len(one.objects) == 6  # three planes, twice
    assert one.summary.clicks_1 > 0.95  # pixels that are not square blur the border
    assert math.isclose(one.summary.solid_3, one.tasks["ball"].solid_3)


@pytest.mark.parametrize(
    ("left_out", "cases"), [((), ["0", "2"]), (("2",), ["0", "3"]), (("0", "1", "2", "3"), ["4"])]
)
def test_a_limit_spreads_cases_over_the_list(tmp_path, left_out, cases):
    folder = dataset(tmp_path / "balls", ball().astype(int))
    document = json.loads((folder / "dataset.json").read_text())
    copies = [f"{n}.nii.gz" for n in range(5)]
    for name in copies:
        (folder / name).write_bytes((folder / "image.nii.gz").read_bytes())
    document["test"] = [{"image": name, "label": "label.nii.gz"} for name in copies]
    (folder / "dataset.json").write_text(json.dumps(document), encoding="utf-8")
    blind = Subject("blind", lambda volume: LocalSession(volume, Blind()))
    options = ClickOptions(limit=2, clicks=5, left_out=left_out)
    (one,) = evaluate_clicks(blind, [("", folder)], options).sets
    assert sorted({asked.case for asked in one.objects}) == cases


def test_a_case_that_is_not_there_cannot_be_left_out(tmp_path):
    folder = dataset(tmp_path / "balls", ball().astype(int))
    blind = Subject("blind", lambda volume: LocalSession(volume, Blind()))
    with pytest.raises(ConfigError, match="no case 'other'"):
        evaluate_clicks(blind, [("", folder)], ClickOptions(left_out=("other",)))


def test_a_set_without_objects_is_refused(tmp_path):
    labels = np.zeros((20, 16, 12), int)
    labels[3, 3, 3] = 1
    seer = Subject("seer", lambda volume: LocalSession(volume, Seer()))
    with pytest.raises(ConfigError, match="large enough"):
        evaluate_clicks(seer, [("", dataset(tmp_path / "dots", labels))])
