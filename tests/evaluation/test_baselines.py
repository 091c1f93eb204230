"""Methods without learning as bodies of sessions."""

from __future__ import annotations

import numpy as np
import pytest

from napari_effseg import Box, Point, UnknownModel, Volume
from napari_effseg.evaluation.baselines import BASELINES, baseline_body, open_baseline
from napari_effseg.evaluation.baselines.marks import Marks, MarkSettings
from napari_effseg.evaluation.baselines.methods import GrowCut
from napari_effseg.evaluation.clicks import ClickOptions, Subject, evaluate_clicks
from napari_effseg.metrics import dice

pytest.importorskip("skimage")


def disk():
    rows, columns = np.mgrid[:60, :48]
    return np.hypot(rows - 30, columns - 20)[..., None] < 9


def noisy(mask, seed=0):
    random = np.random.default_rng(seed)
    return Volume((mask + random.normal(0, 0.02, mask.shape)).astype(np.float32), np.eye(4))


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("prompt", [Point((30, 20, 0)), Box((21, 11, 0), (40, 30, 1))])
def test_a_plain_object_is_found(name, prompt):
    with open_baseline(name, noisy(disk())) as session:
        session.add(prompt)
        assert dice(session.mask, disk()) > 0.9


@pytest.mark.parametrize("name", BASELINES)
def test_a_box_is_looked_at_closely(name):
    rows, columns = np.mgrid[:500, :400]
    small = np.hypot(rows - 303, columns - 120)[..., None] < 6
    with open_baseline(name, noisy(small)) as session:
        session.add(Box((298, 115, 0), (309, 126, 1)))
        assert dice(session.mask, small) > 0.9
        session.add(Point((100, 300, 0), positive=False))  # far from the box
        assert dice(session.mask, small) > 0.9


@pytest.mark.parametrize("name", BASELINES)
def test_more_prompts_are_obeyed_and_taken_back(name):
    with open_baseline(name, noisy(disk())) as session:
        session.add(Point((30, 20, 0)))
        before = session.mask.copy()
        session.add(Point((36, 20, 0), positive=False))
        session.add(Point((5, 5, 0)))
        assert not session.mask[36, 20, 0]
        assert session.mask[5, 5, 0]
        session.undo(), session.undo()
        assert (session.mask == before).all()


@pytest.mark.parametrize("name", BASELINES)
def test_clicks_outside_alone_and_images_of_one_value_are_answered(name):
    flat = Volume(np.zeros((20, 16, 1), np.float32), np.eye(4))
    with open_baseline(name, flat) as session:
        session.add(Point((3, 3, 0), positive=False))
        assert not session.mask.any()
        session.add(Point((10, 8, 0)))
        assert session.mask[10, 8, 0]


def conquered(pixels, inside, outside):
    """The cellular automaton itself, until nothing changes."""
    shape = inside.shape
    label = np.where(inside, 1, np.where(outside, -1, 0))
    strength = (label != 0).astype(float)
    largest = np.sqrt(pixels.shape[2]) * np.ptp(pixels) * (1 + 1e-6)
    changed = True
    while changed:
        changed = False
        for row, column in np.ndindex(shape):
            for down, right in ((a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b):
                y, x = row + down, column + right
                if not (0 <= y < shape[0] and 0 <= x < shape[1]):
                    continue
                attack = strength[y, x] * (1 - np.linalg.norm(pixels[y, x] - pixels[row, column]) / largest)
                if attack > strength[row, column] * (1 + 1e-12):
                    strength[row, column], label[row, column], changed = attack, label[y, x], True
    return label > 0


@pytest.mark.parametrize("seed", range(4))
def test_grow_cut_ends_as_the_cellular_automaton_does(seed):
    random = np.random.default_rng(seed)
    pixels = random.random((11, 9, 3)).astype(np.float32)
    inside, outside = np.zeros((11, 9), bool), np.zeros((11, 9), bool)
    inside[3, 4], outside[0], outside[8, 7] = True, True, True
    none = np.zeros((0, 2), int)
    marks = Marks(pixels, inside, outside, none, none, np.ones((11, 9), bool))
    found = GrowCut(MarkSettings(), step=0.0).belonging(marks) > 0
    assert (found == conquered(pixels.astype(float), inside, outside)).all()


def test_an_unknown_baseline_names_the_nearest():
    with pytest.raises(UnknownModel, match="grow-cut"):
        baseline_body("growcut")


def test_real_hearts_are_measured(shared_data):
    subject = Subject("grow-cut", lambda volume: open_baseline("grow-cut", volume))
    options = ClickOptions(limit=1, objects=1, clicks=5)
    first, second = (
        evaluate_clicks(subject, [("", shared_data / "acdc_cardiac")], options) for _ in range(2)
    )
    assert first.sets[0].summary == second.sets[0].summary
    assert 0 < first.sets[0].summary.clicks_5 <= 1
