"""Objects that hold many frames: with functional groups, dose grids, tomography, films."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.sequence import Sequence

import napari_effseg as eff

from ..conftest import oblique
from .synthetic import assert_same_place, decimals, enhanced, image, item, numbered, place, sequence, write

AFFINE = oblique()


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (3, 0, 5, 1, 4, 2)])
def test_frames_are_sorted_by_their_functional_groups(tmp_path, order):
    data = numbered()
    folder = write(tmp_path, [enhanced(data, AFFINE, order)])
    volume = eff.load(folder / "IM0000.dcm")
    assert_same_place(volume, data, AFFINE)
    assert volume.warnings == ()


def test_several_multi_frame_files_make_one_volume(tmp_path):
    data = numbered()
    parts = [enhanced(data[:, :, :4], AFFINE), enhanced(data, AFFINE, order=(4, 5))]
    assert_same_place(eff.load(write(tmp_path, parts)), data, AFFINE)


def _diffusion(b_value, direction=None):
    found = item(DiffusionBValue=b_value)
    if direction is not None:
        found.DiffusionGradientDirectionSequence = sequence(DiffusionGradientOrientation=direction)
    return {"MRDiffusionSequence": Sequence([found])}


def test_b_values_in_functional_groups_are_volumes(tmp_path):
    data = numbered((5, 7, 3))
    both = np.concatenate([data, data + 1000], axis=2)
    dataset = enhanced(both, AFFINE, marks=[_diffusion(b) for b in (0.0,) * 3 + (800.0,) * 3])
    for frame, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        where = place(item(), AFFINE, frame % 3).ImagePositionPatient
        group.PlanePositionSequence = sequence(ImagePositionPatient=where)
    folder = write(tmp_path, [dataset])
    assert "b-value 0, 800 s/mm²" in eff.load(folder).warnings[0]
    assert_same_place(eff.load(folder, frame=1), data + 1000, AFFINE)


def test_slope_and_window_are_those_of_each_frame(tmp_path):
    data = numbered((5, 7, 3))
    marks = [
        {
            "PixelValueTransformationSequence": sequence(RescaleSlope=str(k + 1), RescaleIntercept=str(-k)),
            "FrameVOILUTSequence": sequence(WindowCenter=str(100 + k), WindowWidth="50"),
        }
        for k in range(3)
    ]
    volume = eff.load(write(tmp_path, [enhanced(data, AFFINE, marks=marks)]))
    assert_same_place(volume, data * np.float32([1, 2, 3]) - np.float32([0, 1, 2]), AFFINE)
    assert (volume.data.dtype, volume.window) == (np.float32, (101.0, 50.0))


def test_functional_groups_that_are_fewer_than_the_frames_are_refused(tmp_path):
    dataset = enhanced(numbered(), AFFINE)
    del dataset.PerFrameFunctionalGroupsSequence[-1]
    with pytest.raises(eff.ImageReadError, match="describes 5 of its 6 frames"):
        eff.load(write(tmp_path, [dataset]))


def test_a_volume_of_the_transducer_says_that_it_lies_nowhere_in_the_patient(tmp_path):
    data = numbered()
    dataset = enhanced(data, AFFINE)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    directions = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    shared.PlaneOrientationVolumeSequence = sequence(
        ImageOrientationVolume=[float(part) for part in directions]
    )
    del shared.PlaneOrientationSequence
    for group in dataset.PerFrameFunctionalGroupsSequence:
        where = [float(part) for part in group.PlanePositionSequence[0].ImagePositionPatient]
        group.PlanePositionVolumeSequence = sequence(ImagePositionVolume=where)
        del group.PlanePositionSequence
    volume = eff.load(write(tmp_path, [dataset]))
    assert_same_place(volume, data, AFFINE)
    assert "transducer" in volume.warnings[0]


@pytest.mark.parametrize("start", [0.0, -40.0])
def test_a_dose_grid_has_its_planes_at_the_offsets(tmp_path, start):
    data, affine = numbered((5, 7, 4), np.uint32), np.diag([-2, -2, 3, 1.0])
    dataset = place(image(data.T, modality="RTDOSE", DoseGridScaling="0.001"), affine, 0)
    dataset.GridFrameOffsetVector = decimals(start + 3 * np.arange(4))
    volume = eff.load(write(tmp_path, [dataset]))
    np.testing.assert_allclose(volume.affine, affine, atol=1e-9)
    np.testing.assert_allclose(volume.data, data * 0.001, rtol=1e-6)
    assert (volume.modality, volume.warnings) == ("RTDOSE", ())


def test_a_tomography_of_nuclear_medicine_has_its_slices_in_a_vector(tmp_path):
    data, affine = numbered((5, 7, 4)), oblique()
    dataset = image(data.transpose(2, 1, 0)[::-1], modality="NM", SpacingBetweenSlices=decimals(3.1)[0])
    where = place(item(), affine, 0)
    dataset.PixelSpacing = where.PixelSpacing
    dataset.DetectorInformationSequence = sequence(
        ImagePositionPatient=where.ImagePositionPatient, ImageOrientationPatient=where.ImageOrientationPatient
    )
    dataset.SliceVector = [4, 3, 2, 1]
    assert_same_place(eff.load(write(tmp_path, [dataset])), data, affine)
