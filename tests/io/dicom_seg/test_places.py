"""Which series a label map belongs to, and what becomes of maps that are not on its voxels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.volume import Grid, LabelMap, pad, reorient, resample, same_grid
from tests.io.conftest import ALL_AXCODES

from .series import gantry, oblique_grid, write_series
from .test_round_trip import same_places


def coarse(labels: LabelMap) -> LabelMap:
    """Return the labels on voxels of their own, within the same box."""
    affine = np.array(labels.affine)
    affine[:3, :3] *= 1.7
    affine[:3, 3] += 0.3
    return resample(labels, Grid((5, 6, 4), affine))


@pytest.mark.parametrize("axcodes", ALL_AXCODES[::5])
def test_labels_on_other_voxels_keep_them_and_their_place(labels, folder, tmp_path, axcodes):
    own = coarse(labels)
    with pytest.warns(eff.ExportWarning, match="slices of its own"):
        path = eff.save(reorient(own, axcodes), tmp_path / "seg.dcm", reference=folder)
    back = eff.load_labels(path)
    assert same_grid(back.grid, own.grid, 1e-4)
    np.testing.assert_array_equal(back.data, own.data)
    same_places(path, own)


def test_labels_turned_against_the_series_keep_their_slices(labels, folder, tmp_path):
    turned = replace(
        labels,
        affine=labels.affine
        @ np.array([[0.96, -0.28, 0, 1], [0.28, 0.96, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
    )
    turned = replace(turned, affine=np.column_stack([*_right_angled(turned.affine), turned.affine[:, 3]]))
    with pytest.warns(eff.ExportWarning):
        path = eff.save(turned, tmp_path / "seg.dcm", reference=folder)
    assert same_grid(eff.load_labels(path).grid, turned.grid, 1e-4)
    same_places(path, turned)


def _right_angled(affine: np.ndarray) -> np.ndarray:
    """Columns of an affine, made orthogonal."""
    columns = np.zeros((3, 4))
    first = affine[:3, 0]
    second = affine[:3, 1] - first * (affine[:3, 1] @ first) / (first @ first)
    columns[:, :3] = first, second, affine[:3, 2]
    return columns


def test_a_padded_map_reaches_over_the_ends_of_the_series(labels, folder, tmp_path):
    larger = pad(labels, (0, 0, 2), (0, 0, 1))
    with pytest.warns(eff.ExportWarning):
        path = eff.save(larger, tmp_path / "seg.dcm", reference=folder)
    back = eff.load_labels(path)
    assert same_grid(back.grid, larger.grid, 1e-4)
    np.testing.assert_array_equal(back.data, larger.data)


def test_labels_elsewhere_in_the_patient_are_refused(labels, folder, tmp_path):
    affine = np.array(labels.affine)
    affine[:3, 3] += 300
    with pytest.raises(eff.ExportError, match="lie elsewhere in the patient"):
        eff.save(replace(labels, affine=affine), tmp_path / "seg.dcm", reference=folder)
    assert not list(tmp_path.iterdir())


def test_rows_and_columns_that_are_not_at_right_angles_are_refused(labels, folder, tmp_path):
    shear = np.eye(4)
    shear[0, 1] = 0.3
    with pytest.raises(eff.ExportError, match="not at right angles"):
        eff.save(replace(labels, affine=labels.affine @ shear), tmp_path / "seg.dcm", reference=folder)


def test_rounding_in_another_format_does_not_move_labels_off_the_series(labels, folder, tmp_path):
    affine = labels.affine.astype(np.float32).astype(np.float64)
    path = eff.save(replace(labels, affine=affine), tmp_path / "seg.dcm", reference=folder)
    assert same_grid(eff.load_labels(path).grid, labels.grid, 1e-6)


# --- which series ---


def test_a_file_of_the_series_stands_for_it(labels, folder, tmp_path):
    path = eff.save(labels, tmp_path / "seg.dcm", reference=next(folder.iterdir()))
    assert same_grid(eff.load_labels(path).grid, labels.grid)


def test_the_files_of_the_series_may_be_listed(labels, folder, tmp_path):
    path = eff.save(labels, tmp_path / "seg.dcm", reference=sorted(folder.iterdir()))
    assert same_grid(eff.load_labels(path).grid, labels.grid)


def test_of_several_series_the_one_with_these_voxels_is_meant(labels, tmp_path):
    write_series(tmp_path / "study" / "a", oblique_grid((12, 11, 7)))
    write_series(tmp_path / "study" / "b", oblique_grid())
    write_series(tmp_path / "study" / "c", gantry(oblique_grid()))
    path = eff.save(labels, tmp_path / "seg.dcm", reference=tmp_path / "study")
    assert same_grid(eff.load_labels(path).grid, labels.grid)


def test_of_several_series_with_these_voxels_one_must_be_chosen(labels, tmp_path):
    import pydicom

    for name in "ab":
        write_series(tmp_path / "study" / name, oblique_grid())
    with pytest.raises(eff.ExportError, match="2 series and several have exactly the voxels"):
        eff.save(labels, tmp_path / "seg.dcm", reference=tmp_path / "study")
    uid = pydicom.dcmread(next((tmp_path / "study" / "b").iterdir())).SeriesInstanceUID
    path = eff.save(labels, tmp_path / "seg.dcm", reference=tmp_path / "study", series=uid)
    assert pydicom.dcmread(path).ReferencedSeriesSequence[0].SeriesInstanceUID == uid


def test_a_missing_slice_stays_a_gap_that_refers_to_nothing(labels, tmp_path):
    import pydicom

    series = write_series(tmp_path / "series", oblique_grid())
    next(series.glob("*_3.dcm")).unlink()
    path = eff.save(labels, tmp_path / "seg.dcm", reference=series)
    np.testing.assert_array_equal(eff.load_labels(path).data, labels.data)
    groups = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
    assert sorted(len(group.DerivationImageSequence) for group in groups) == [0, 1, 1, 1, 1, 1]


def test_slices_at_uneven_distances_are_refused(labels, tmp_path):
    lift = (0, 0.4, 2.7, 3.1, 7, 8, 9)
    series = write_series(
        tmp_path / "series",
        oblique_grid(),
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        ImagePositionPatient=lambda k: [0, 0, lift[k]],
    )
    volume = eff.load(series)
    with pytest.raises(eff.ExportError, match="not evenly spaced"):
        eff.save(replace(labels, affine=volume.affine), tmp_path / "seg.dcm", reference=series)


def test_the_frame_that_was_segmented_is_referred_to(labels, tmp_path):
    import pydicom

    series = write_series(tmp_path / "series", oblique_grid(), EchoTime=10)
    other = write_series(tmp_path / "other", oblique_grid(), EchoTime=20)
    uid = pydicom.dcmread(next(series.iterdir())).SeriesInstanceUID
    for file in other.iterdir():
        image = pydicom.dcmread(file)
        image.SeriesInstanceUID = uid
        image.save_as(series / f"later_{file.name}")
    path = eff.save(labels, tmp_path / "seg.dcm", reference=series, frame=1)
    later = {pydicom.dcmread(file).SOPInstanceUID for file in other.iterdir()}
    referenced = pydicom.dcmread(path).SourceImageSequence
    assert {one.ReferencedSOPInstanceUID for one in referenced} == later


# --- pictures ---


def test_a_picture_without_a_place_takes_segments_on_its_pixels(tmp_path):
    grid = Grid((9, 11, 1), np.diag([-0.8, -1.3, 1, 1]))
    picture = write_series(
        tmp_path / "picture",
        grid,
        ImageOrientationPatient=None,
        ImagePositionPatient=None,
        FrameOfReferenceUID=None,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.1",
        Modality="CR",
        SliceThickness=None,
    )
    volume = eff.load(picture)
    data = np.zeros(volume.shape, np.uint8)
    data[2:5, 3:9] = 1
    data[6:8, 3:9] = 2
    path = eff.save(LabelMap(data, volume.affine), tmp_path / "seg.dcm", reference=picture)
    back = eff.load_labels(path)
    assert same_grid(back.grid, volume.grid)
    np.testing.assert_array_equal(back.data, data)
    with pytest.raises(eff.ExportError, match="a picture without a place"):
        eff.save(
            LabelMap(data, volume.affine @ np.diag([2.0, 2, 1, 1])), tmp_path / "b.dcm", reference=picture
        )
