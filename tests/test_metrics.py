"""Scores of two label maps: laws first, then numbers known by hand, then a second opinion (MONAI)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_effseg import LabelMap, VolumeError
from napari_effseg.metrics import dice, hausdorff95, image_diagonal_mm, label_scores, surface_dice

SPACING = (0.7, 1.3, 2.9)
masks = arrays(bool, (6, 7, 5), elements=st.booleans())


def box(start: tuple[int, int, int], size: int = 6, shape: tuple[int, int, int] = (24, 20, 22)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(s, s + size) for s in start)] = True
    return mask


def oblique_affine() -> np.ndarray:
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(SPACING)
    affine[:3, 3] = (-12.0, 30.0, 7.0)
    return affine


def label_map(array: np.ndarray, names: dict[int, str] | None = None) -> LabelMap:
    return LabelMap(array.astype(np.uint8), oblique_affine(), names=names or {})


@settings(deadline=None, max_examples=25)
@given(masks, masks)
def test_every_score_is_symmetric(a: np.ndarray, b: np.ndarray) -> None:
    assert dice(a, b) == dice(b, a)
    assert hausdorff95(a, b, SPACING) == pytest.approx(hausdorff95(b, a, SPACING))
    assert surface_dice(a, b, SPACING) == pytest.approx(surface_dice(b, a, SPACING))


@settings(deadline=None, max_examples=25)
@given(masks)
def test_a_mask_agrees_with_itself(a: np.ndarray) -> None:
    assert (dice(a, a), hausdorff95(a, a, SPACING), surface_dice(a, a, SPACING, 0.0)) == (1, 0, 1)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("voxels", [1, 3, 8])
def test_a_shift_of_k_voxels_is_k_spacings_away(axis: int, voxels: int) -> None:
    start = [4, 4, 4]
    shifted = list(start)
    shifted[axis] += voxels
    distance = hausdorff95(box(tuple(start)), box(tuple(shifted)), SPACING)
    assert distance == pytest.approx(voxels * SPACING[axis])


@settings(deadline=None, max_examples=15)
@given(masks, masks, st.floats(0.1, 10))
def test_distances_scale_with_the_spacing(a: np.ndarray, b: np.ndarray, factor: float) -> None:
    scaled = tuple(mm * factor for mm in SPACING)
    assert hausdorff95(a, b, scaled) == pytest.approx(factor * hausdorff95(a, b, SPACING))


def test_a_transposed_image_has_the_same_scores() -> None:
    a, b = box((3, 4, 5)), box((5, 6, 5), size=7)
    order = (2, 0, 1)
    turned = hausdorff95(a.transpose(order), b.transpose(order), [SPACING[axis] for axis in order])
    assert turned == pytest.approx(hausdorff95(a, b, SPACING))


def test_surface_dice_grows_with_the_tolerance_up_to_one() -> None:
    a, b = box((3, 4, 5)), box((5, 6, 5), size=7)
    scores = [surface_dice(a, b, SPACING, mm) for mm in (0.0, 1.0, 2.0, 10.0)]
    assert scores == sorted(scores)
    assert scores[-1] == 1.0


def test_dice_of_half_an_overlap() -> None:
    assert dice([1, 1, 0, 0], [0, 1, 1, 0]) == 0.5


def test_structures_empty_in_both_agree() -> None:
    empty = np.zeros((4, 5, 6), bool)
    assert (dice(empty, empty), hausdorff95(empty, empty, SPACING), surface_dice(empty, empty, SPACING)) == (
        1,
        0,
        1,
    )


def test_a_missed_structure_costs_the_diagonal_of_the_image() -> None:
    truth, nothing = box((4, 4, 4)), np.zeros((24, 20, 22), bool)
    diagonal = float(np.linalg.norm(np.multiply(truth.shape, SPACING)))
    assert dice(truth, nothing) == 0
    assert (
        hausdorff95(truth, nothing, SPACING)
        == pytest.approx(diagonal)
        == image_diagonal_mm(truth.shape, SPACING)
    )
    assert surface_dice(truth, nothing, SPACING, 100.0) == 0


def test_a_picture_has_an_outline_and_no_faces() -> None:
    a, b = np.zeros((20, 20, 1), bool), np.zeros((20, 20, 1), bool)
    a[5:15, 5:15], b[4:16, 4:16] = True, True
    assert hausdorff95(a, b, (1, 1, 1)) == hausdorff95(a[..., 0], b[..., 0], (1, 1)) == 2**0.5  # corners
    assert surface_dice(a, b, (1, 1, 1), 0.5) == 0


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(VolumeError, match="one shape"):
        dice(np.ones((2, 3)), np.ones((3, 2)))


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, 1, float("nan"))])
def test_a_spacing_that_makes_no_sense_is_refused(spacing: tuple[float, ...]) -> None:
    with pytest.raises(VolumeError, match="positive numbers in mm"):
        hausdorff95(box((1, 1, 1)), box((1, 1, 1)), spacing)


def test_a_negative_tolerance_is_refused() -> None:
    with pytest.raises(VolumeError, match="tolerance"):
        surface_dice(box((1, 1, 1)), box((1, 1, 1)), SPACING, -1.0)


@pytest.mark.filterwarnings("ignore::FutureWarning:monai")  # of its own deprecated argument
@pytest.mark.parametrize("seed", range(4))
def test_monai_agrees_on_dice_and_surfaces(seed: int) -> None:
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("monai.metrics")
    noise = np.random.default_rng(seed)
    a, b = (box((4, 4, 4), 9) & (noise.random((24, 20, 22)) > 0.2) for _ in range(2))
    pair = [torch.from_numpy(mask)[None, None].float() for mask in (a, b)]
    monai_distance = metrics.compute_hausdorff_distance(
        *pair, include_background=True, percentile=95, spacing=SPACING
    )
    monai_surface = metrics.compute_surface_dice(*pair, [1.0], include_background=True, spacing=SPACING)
    assert hausdorff95(a, b, SPACING) == pytest.approx(monai_distance.item(), abs=1e-5)
    assert surface_dice(a, b, SPACING, 1.0) == pytest.approx(monai_surface.item(), abs=1e-6)
    assert dice(a, b) == pytest.approx(metrics.compute_dice(*pair).item(), abs=1e-6)


def test_every_structure_that_either_map_names_or_holds_is_scored() -> None:
    truth, result = box((4, 4, 4)) * 1, box((4, 4, 4)) * 5
    scores = label_scores(label_map(truth, {1: "head", 7: "tail"}), label_map(result, {1: "head"}))
    assert [(s.label, s.name) for s in scores] == [(1, "head"), (5, "label 5"), (7, "tail")]
    assert [s.dice for s in scores] == [0, 0, 1]
    assert [s.missed for s in scores] == [True, False, False]


def test_a_table_holds_the_numbers_of_its_masks() -> None:
    truth, result = box((4, 4, 4)), box((5, 4, 4))
    (score,) = label_scores(label_map(truth), label_map(result), tolerance_mm=0.5)
    assert score.hausdorff95_mm == pytest.approx(hausdorff95(truth, result, SPACING)) == pytest.approx(0.7)
    assert score.surface_dice == pytest.approx(surface_dice(truth, result, SPACING, 0.5))
    assert score.truth_ml == pytest.approx(6**3 * np.prod(SPACING) / 1000)


def test_only_the_asked_labels_are_scored() -> None:
    truth = label_map(box((4, 4, 4)) * 3)
    assert [score.label for score in label_scores(truth, truth, labels=[2])] == [2]


def test_label_maps_of_two_grids_are_refused() -> None:
    truth = label_map(box((4, 4, 4)))
    with pytest.raises(VolumeError, match="different grids"):
        label_scores(truth, LabelMap(truth.data, np.eye(4)))
