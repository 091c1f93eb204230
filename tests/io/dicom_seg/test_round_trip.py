"""A label map comes back from a SEG as it was; plain pydicom finds its segments at the same place in mm."""

from __future__ import annotations

from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest

import napari_effseg as eff
from napari_effseg.volume import LabelMap, crop, reorient, same_grid
from tests.io.conftest import ALL_AXCODES, centroids

from .series import frames_by_segment, gantry, oblique_grid, segments_ras, write_series

NEAR_MM = 1e-3


def same_places(path, labels: LabelMap) -> None:
    """Compare centroids with a reading that shares nothing with ours; segments are labels in rising order."""
    wanted = centroids(np.asarray(labels.data), labels.affine)
    numbers = {label: n for n, label in enumerate(sorted({*labels.described, *wanted}), start=1)}
    found = segments_ras(path)
    assert found.keys() == {numbers[label] for label in wanted}
    for label, place in wanted.items():
        np.testing.assert_allclose(found[numbers[label]], place, atol=NEAR_MM)


@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_labels_of_all_48_orders_come_back_on_the_series(labels, folder, tmp_path, axcodes):
    turned = reorient(labels, axcodes)
    path = eff.save(turned, tmp_path / "seg.dcm", reference=folder)
    back = eff.load_labels(path)
    assert same_grid(back.grid, labels.grid, 1e-4)
    np.testing.assert_array_equal(back.data, labels.data)
    same_places(path, turned)


def test_names_colours_codes_sides_and_maker_come_back(labels, folder, tmp_path):
    back = eff.load_labels(eff.save(labels, tmp_path / "seg.dcm", reference=folder))
    assert back.names == labels.names
    assert back.colours == labels.colours
    assert back.codes == labels.codes
    assert back.made_by == labels.made_by
    assert back.warnings == ()
    assert back.data.dtype == np.int32


def test_highdicoms_own_reader_agrees(labels, folder, tmp_path):
    path = eff.save(labels, tmp_path / "seg.dcm", reference=folder)
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True)
    found = centroids(volume.array, np.diag([-1, -1, 1, 1]) @ volume.affine)
    for label, number in {3: 1, 4: 2, 70_000: 4}.items():
        np.testing.assert_allclose(found[number], centroids(labels.data, labels.affine)[label], atol=NEAR_MM)


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "SAR", "PIL"])
def test_a_crop_comes_back_on_the_whole_series(labels, folder, tmp_path, axcodes):
    box = ((1, 2, 1), (8, 10, 5))
    path = eff.save(reorient(crop(labels, box), axcodes), tmp_path / "seg.dcm", reference=folder)
    back = eff.load_labels(path)
    assert same_grid(back.grid, labels.grid, 1e-4)
    np.testing.assert_array_equal(crop(back, box).data, crop(labels, box).data)
    assert np.count_nonzero(back.data) == np.count_nonzero(crop(labels, box).data)
    same_places(path, replace(crop(labels, box)))


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "ASL"])
def test_a_tilted_gantry_keeps_every_slice_where_it_was_taken(labels, tmp_path, axcodes):
    grid = gantry(oblique_grid())
    series = write_series(tmp_path / "series", grid)
    sheared = replace(labels, affine=grid.affine)
    path = eff.save(reorient(sheared, axcodes), tmp_path / "seg.dcm", reference=series)
    back = eff.load_labels(path)
    assert same_grid(back.grid, grid, 1e-4)
    np.testing.assert_array_equal(back.data, labels.data)
    same_places(path, sheared)


@pytest.mark.parametrize(
    "spacing", [(0.8, 1.3, 3.1), (0.123456789, 0.987654321, 1.23456789012345), (7, 7, 7)]
)
def test_spacings_hold_to_a_ten_thousandth_of_a_millimetre(labels, tmp_path, spacing):
    grid = oblique_grid(spacing=spacing, origin=(-1234.56789, 987.654321, 1500.987654))
    series = write_series(tmp_path / "series", grid)
    path = eff.save(replace(labels, affine=grid.affine), tmp_path / "seg.dcm", reference=series)
    assert same_grid(eff.load_labels(path).grid, grid, 1e-4)


@pytest.mark.parametrize("slant", [0, 15, 40])
def test_without_our_private_grid_the_frames_alone_say_the_place(labels, tmp_path, slant):
    grid = gantry(oblique_grid(), slant)
    series = write_series(tmp_path / "series", grid)
    tilted = replace(labels, affine=grid.affine)
    path = eff.save(tilted, tmp_path / "seg.dcm", reference=series)
    seg = pydicom.dcmread(path)
    seg.remove_private_tags()
    seg.save_as(path)
    back = eff.load_labels(path)
    assert same_grid(back.grid, crop(tilted, ((0, 0, 1), (9, 11, 5))).grid, 1e-4)
    np.testing.assert_array_equal(back.data, labels.data[:, :, 1:5])


def test_slices_without_a_segment_have_no_frame(labels, folder, tmp_path):
    path = eff.save(labels, tmp_path / "seg.dcm", reference=folder)
    frames = frames_by_segment(path)
    assert {segment: len(found) for segment, found in frames.items()} == {1: 2, 2: 3, 4: 1}
    assert all(mask.any() for found in frames.values() for _, mask in found)


def test_segments_are_numbered_without_gaps_whatever_the_labels(labels, folder, tmp_path):
    seg = pydicom.dcmread(eff.save(labels, tmp_path / "seg.dcm", reference=folder))
    assert [segment.SegmentNumber for segment in seg.SegmentSequence] == [1, 2, 3, 4]
    descriptions = [segment.SegmentDescription for segment in seg.SegmentSequence]
    assert descriptions[0] == "effseg label 3: Left hippocampus"
    assert descriptions[3] == "effseg label 70000 (no code): ilot"


def test_many_labels_with_gaps_come_back(folder, tmp_path):
    grid = oblique_grid()
    data = (np.arange(np.prod(grid.shape)) * 3 % 1000).reshape(grid.shape)
    back = eff.load_labels(eff.save(LabelMap(data, grid.affine), tmp_path / "seg.dcm", reference=folder))
    np.testing.assert_array_equal(back.data, data)
    assert back.names == {}


def test_a_map_without_a_voxel_keeps_its_names(folder, tmp_path):
    grid = oblique_grid()
    empty = LabelMap(np.zeros(grid.shape, np.uint8), grid.affine, {2: "one", 7: "other"})
    back = eff.load_labels(eff.save(empty, tmp_path / "seg.dcm", reference=folder))
    assert back.names == empty.names
    assert same_grid(back.grid, grid)
    assert not back.data.any()


def test_a_map_that_describes_nothing_is_refused(folder, tmp_path):
    grid = oblique_grid()
    with pytest.raises(eff.ExportError, match="needs at least one segment"):
        eff.save(LabelMap(np.zeros(grid.shape, np.uint8), grid.affine), tmp_path / "s.dcm", reference=folder)
    assert not list(tmp_path.iterdir())


def test_a_single_slice_comes_back(tmp_path):
    grid = oblique_grid((9, 11, 1))
    series = write_series(tmp_path / "series", grid)
    data = np.zeros(grid.shape, np.uint8)
    data[2:5, 3:9] = 1
    path = eff.save(LabelMap(data, grid.affine, {1: "a"}), tmp_path / "seg.dcm", reference=series)
    back = eff.load_labels(path)
    assert same_grid(back.grid, grid)
    np.testing.assert_array_equal(back.data, data)


NAMES = (
    "a  b   c",
    "\\",
    "back\\slash",
    "^=~|",
    "Label 7",
    "effseg label 3: other",
    ": colon",
    "x" * 64,
    "y" * 65,
    "é" * 900,
    "左海馬",
    "Ψ ½ µ",
    "\"quoted\" 'name'",
    "(no code)",
    "tail  " + "z" * 70,
)


def test_every_name_comes_back_to_the_letter(folder, tmp_path):
    grid = oblique_grid()
    names = dict(enumerate(NAMES, start=1))
    data = np.arange(np.prod(grid.shape)).reshape(grid.shape) % len(NAMES) + 1
    path = eff.save(LabelMap(data, grid.affine, names), tmp_path / "seg.dcm", reference=folder)
    assert eff.load_labels(path).names == names


def test_a_name_that_no_description_holds_is_refused(labels, folder, tmp_path):
    with pytest.raises(eff.ExportError, match="name of label 3 has 901 characters; DICOM SEG holds 900"):
        eff.save(replace(labels, names={3: "n" * 901}), tmp_path / "seg.dcm", reference=folder)


def test_a_meaning_that_is_too_long_is_shortened_and_said(labels, folder, tmp_path):
    long = replace(labels, codes={3: eff.Code("SCT", "5366008", "Hippocampus " * 8, "left")})
    with pytest.warns(eff.ExportWarning, match="label 3's code was shortened"):
        path = eff.save(long, tmp_path / "seg.dcm", reference=folder)
    back = eff.load_labels(path).codes[3]
    assert (back.value, back.laterality) == ("5366008", "left")
    assert len(back.meaning) <= 64
