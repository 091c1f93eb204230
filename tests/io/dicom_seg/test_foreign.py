"""SEG files of other programs: what they hold comes back, and what no label map can hold is said."""

from __future__ import annotations

import contextlib

import numpy as np
import pydicom
import pytest

import napari_effseg as eff
from napari_effseg.volume import lps_to_ras

from .foreign import code, foreign_seg, frame, segment

SPACED = {"SpacingBetweenSlices": 2.0}


def square(rows=5, columns=7, at=(1, 2), value=1, dtype=np.uint8) -> np.ndarray:
    mask = np.zeros((rows, columns), dtype)
    mask[at[0] : at[0] + 2, at[1] : at[1] + 3] = value
    return mask


def stack(*heights: float, number: int = 1) -> list[pydicom.Dataset]:
    return [frame(number, (10, 20, height)) for height in heights]


def test_frames_lie_where_their_positions_say(tmp_path):
    path = foreign_seg(tmp_path / "s.dcm", [segment(1)], stack(4, 0, 2), [square()] * 3)
    labels = eff.load_labels(path)
    wanted = [[0.5, 0, 0, 10], [0, 1.5, 0, 20], [0, 0, 2, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(labels.affine, lps_to_ras(np.array(wanted)))
    assert labels.shape == (7, 5, 3)
    np.testing.assert_array_equal(labels.data[:, :, 1], square().T)


def test_a_position_that_all_frames_share_may_stand_once(tmp_path):
    path = foreign_seg(tmp_path / "s.dcm", [segment(1)], [frame(1, None)], [square()])
    seg = pydicom.dcmread(path)
    seg.SharedFunctionalGroupsSequence[0].PlanePositionSequence = frame(1, (1, 2, 3)).PlanePositionSequence
    seg.save_as(path)
    assert eff.load_labels(path).origin == (-1, -2, 3)


def test_an_oblique_stack_keeps_its_directions(tmp_path):
    turned = (0.8, 0.6, 0, 0, 0, -1)
    normal = np.cross(turned[:3], turned[3:])
    frames = [frame(1, normal * 3 * k) for k in range(3)]
    labels = eff.load_labels(
        foreign_seg(tmp_path / "s.dcm", [segment(1)], frames, [square()] * 3, orientation=turned)
    )
    np.testing.assert_allclose(
        labels.direction, np.diag([-1, -1, 1]) @ np.column_stack([turned[:3], turned[3:], normal])
    )
    assert labels.spacing == pytest.approx((0.5, 1.5, 3))


@pytest.mark.parametrize(
    ("heights", "measures", "slices"),
    [
        ((0, 2, 6), {}, 4),  # the smallest gap
        ((0, 4, 6), SPACED, 4),
        ((0, 6), SPACED, 4),  # the file's word
        ((0, 6), {}, 2),
        ((0, 6), {"SliceThickness": 2.0}, 2),  # a thickness is no distance
        ((0, 3, 6), {"SpacingBetweenSlices": 2.0}, 3),  # the file's word cannot be true
    ],
)
def test_slices_without_a_frame_are_empty(tmp_path, heights, measures, slices):
    path = foreign_seg(
        tmp_path / "s.dcm", [segment(1)], stack(*heights), [square()] * len(heights), measures=measures
    )
    labels = eff.load_labels(path)
    assert labels.shape[2] == slices
    assert labels.data.any(axis=(0, 1)).sum() == len(heights)
    assert labels.data[:, :, [0, -1]].any(axis=(0, 1)).all()


def test_one_frame_has_its_thickness_or_a_warning(tmp_path):
    thick = foreign_seg(
        tmp_path / "a.dcm", [segment(1)], stack(5), [square()], measures={"SliceThickness": 4.0}
    )
    assert eff.load_labels(thick).spacing == (0.5, 1.5, 4)
    bare = eff.load_labels(foreign_seg(tmp_path / "b.dcm", [segment(1)], stack(5), [square()]))
    assert bare.spacing == (0.5, 1.5, 1)
    assert bare.warnings == ("the slice thickness is not known: 1 mm is taken",)


def test_where_segments_overlap_the_later_hides_the_earlier_and_the_size_is_said(tmp_path):
    frames = [frame(2, (0, 0, 0)), frame(1, (0, 0, 0))]
    masks = [square(at=(1, 2)), square(at=(2, 3))]
    path = foreign_seg(tmp_path / "s.dcm", [segment(1), segment(2)], frames, masks, measures=SPACED)
    labels = eff.load_labels(path)
    assert labels.counts() == {1: 4, 2: 6}
    assert labels.warnings == (
        "segments overlap: at 2 places (0.003 mL) a later segment hides an earlier one",
    )


@pytest.mark.parametrize("meaning", ["PROBABILITY", "OCCUPANCY"])
def test_fractions_are_cut_at_half_and_it_is_said(tmp_path, meaning):
    fractions = square(value=100)
    fractions[1, 2:5] = (99, 100, 200)
    path = foreign_seg(
        tmp_path / "s.dcm",
        [segment(1)],
        stack(0),
        [fractions],
        kind="FRACTIONAL",
        measures=SPACED,
        MaximumFractionalValue=200,
        SegmentationFractionalType=meaning,
    )
    labels = eff.load_labels(path)
    assert labels.counts() == {1: 5}
    assert labels.warnings == (
        f"the segments are given as {meaning.lower()} from 0 to 200: a voxel was taken to belong to a "
        "segment from half of that on (100)",
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_label_map_is_read_as_it_is(tmp_path, dtype):
    numbers = square(value=3, dtype=dtype)
    numbers[0, 0] = 7
    path = foreign_seg(
        tmp_path / "s.dcm",
        [segment(0, "Background"), segment(3, "liver"), segment(7, "spleen")],
        [frame(None, (0, 0, 0)), frame(None, (0, 0, 2))],
        [numbers, square(value=0, dtype=dtype)],
        kind="LABELMAP",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.66.7",
    )
    labels = eff.load_labels(path)
    assert labels.names == {3: "liver", 7: "spleen"}
    np.testing.assert_array_equal(labels.data[:, :, 0], numbers.T)
    assert labels.shape == (7, 5, 2)


def test_a_label_map_of_large_numbers_keeps_those_that_no_segment_has(tmp_path):
    numbers = square(value=3, dtype=np.uint32)
    numbers[0, :2] = (2**31 + 5, 7)
    described = segment(3, SegmentDescription="effseg label 9: a")
    path = foreign_seg(
        tmp_path / "s.dcm",
        [described],
        [frame(None, (0, 0, 0))],
        [numbers],
        kind="LABELMAP",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.66.7",
    )
    assert eff.load_labels(path).counts() == {7: 1, 9: 6, 2**31 + 5: 1}


def test_names_colours_codes_and_sides_are_those_of_the_file(tmp_path):
    left = [code("SCT", "7771000", "Left")]
    old = [code("SRT", "G-A100", "Right")]
    kidney = ("SCT", "64033007", "Kidney")
    region = code("SCT", "39607008", "Lung", AnatomicRegionModifierSequence=left)
    segments = [
        segment(
            1,
            "a",
            code(*kidney, SegmentedPropertyTypeModifierCodeSequence=left),
            RecommendedDisplayCIELabValue=[65535, 32897, 32893],
        ),
        segment(2, "b", code(*kidney), SegmentedPropertyTypeModifierCodeSequence=old),
        segment(3, "c", code("SCT", "27925004", "Nodule"), AnatomicRegionSequence=[region]),
        segment(4, "d", code("SRT", "T-62000", "Liver | whole")),
    ]
    labels = eff.load_labels(foreign_seg(tmp_path / "s.dcm", segments, stack(0), [square()]))
    assert labels.names == {1: "a", 2: "b", 3: "c", 4: "d"}
    assert labels.colours == {1: (255, 255, 255)}
    assert labels.codes == {
        1: eff.Code(*kidney, "left"),
        2: eff.Code(*kidney, "right"),
        3: eff.Code("SCT", "27925004", "Nodule", "left"),
        4: eff.Code("SRT", "T-62000", "Liver / whole"),
    }


def test_a_segment_that_another_program_renamed_has_its_new_name(labels, folder, tmp_path):
    path = eff.save(labels, tmp_path / "seg.dcm", reference=folder)
    seg = pydicom.dcmread(path)
    seg.SegmentSequence[0].SegmentLabel = "tail"
    seg.save_as(path)
    names = eff.load_labels(path).names
    assert names == {**labels.names, 3: "tail"}


def test_two_segments_that_say_the_same_label_are_told_apart(tmp_path):
    twice = [segment(number, SegmentDescription="effseg label 5: a") for number in (1, 2)]
    frames = [frame(1, (0, 0, 0)), frame(2, (0, 0, 2))]
    labels = eff.load_labels(foreign_seg(tmp_path / "s.dcm", twice, frames, [square()] * 2))
    assert labels.counts() == {5: 6, 6: 6}
    assert "new number" in labels.warnings[0]


def test_a_private_grid_that_the_frames_contradict_is_passed_over(labels, folder, tmp_path):
    path = eff.save(labels, tmp_path / "seg.dcm", reference=folder)
    seg = pydicom.dcmread(path)
    for group in seg.PerFrameFunctionalGroupsSequence:
        group.PlanePositionSequence[0].ImagePositionPatient[2] += 1.1
    seg.save_as(path)
    moved = eff.load_labels(path)
    assert moved.shape == (9, 11, 4)
    assert moved.names == labels.names


@pytest.mark.parametrize("spacing", [(0.3, 0.3), None])
def test_segments_of_a_picture_make_a_picture(tmp_path, spacing):
    frames = [frame(1, None), frame(2, None)]
    masks = [square(at=(0, 0)), square(at=(3, 4))]
    labels = eff.load_labels(
        foreign_seg(
            tmp_path / "s.dcm", [segment(1), segment(2)], frames, masks, orientation=None, spacing=spacing
        )
    )
    side = spacing[0] if spacing else 1
    np.testing.assert_allclose(labels.affine, np.diag([-side, -side, 1, 1]))
    assert labels.shape == (7, 5, 1)
    assert labels.counts() == {1: 6, 2: 6}
    assert bool(labels.warnings) == (spacing is None)


# --- what is refused ---


def refused(path, match) -> None:
    with pytest.raises(eff.ImageReadError, match=match):
        eff.load_labels(path)


def test_several_directions_are_refused(tmp_path):
    frames = [frame(1, (0, 0, 0)), frame(1, (0, 0, 0), orientation=(1, 0, 0, 0, 0, -1))]
    path = foreign_seg(tmp_path / "s.dcm", [segment(1)], frames, [square()] * 2)
    refused(path, "more than one direction")


def test_several_pixel_sizes_are_refused(tmp_path):
    frames = [frame(1, (0, 0, 0)), frame(1, (0, 0, 2), spacing=(1.5, 0.6))]
    refused(foreign_seg(tmp_path / "s.dcm", [segment(1)], frames, [square()] * 2), "different sizes")


def test_uneven_distances_are_refused(tmp_path):
    path = foreign_seg(tmp_path / "s.dcm", [segment(1)], stack(0, 1, 2.4, 5), [square()] * 4)
    refused(path, "uneven distances")


def test_frames_shifted_sideways_are_refused(tmp_path):
    frames = [frame(1, (x, 0, z)) for x, z in ((0, 0), (4, 2), (0, 4))]
    refused(foreign_seg(tmp_path / "s.dcm", [segment(1)], frames, [square()] * 3), "one even stack")


def test_frames_of_which_some_have_no_place_are_refused(tmp_path):
    frames = [frame(1, (0, 0, 0)), frame(1, None)]
    refused(foreign_seg(tmp_path / "s.dcm", [segment(1)], frames, [square()] * 2), "others have none")


def test_pictures_that_nothing_stacks_are_refused(tmp_path):
    path = foreign_seg(
        tmp_path / "s.dcm", [segment(1)], [frame(1, None)] * 2, [square()] * 2, orientation=None
    )
    refused(path, "how they are stacked")


def test_a_frame_of_an_unknown_segment_is_refused(tmp_path):
    refused(foreign_seg(tmp_path / "s.dcm", [segment(1)], stack(0, number=2), [square()]), "segment 2")


def test_too_few_described_frames_are_refused(tmp_path):
    path = foreign_seg(tmp_path / "s.dcm", [segment(1)], stack(0), [square()] * 2)
    refused(path, "describes 1 of its 2 frames")


def test_slides_are_refused(tmp_path):
    path = foreign_seg(
        tmp_path / "s.dcm",
        [segment(1)],
        stack(0),
        [square()],
        TotalPixelMatrixRows=5,
        TotalPixelMatrixColumns=7,
    )
    refused(path, "microscope slide")


def test_an_unknown_type_is_refused(tmp_path):
    path = foreign_seg(tmp_path / "s.dcm", [segment(1)], stack(0), [square()], SegmentationType="SOFT")
    refused(path, "'SOFT'; expected BINARY")


def test_surfaces_are_refused(tmp_path):
    path = foreign_seg(
        tmp_path / "s.dcm", [segment(1)], stack(0), [square()], SOPClassUID="1.2.840.10008.5.1.4.1.1.66.5"
    )
    refused(path, "surfaces")


def test_more_slices_than_memory_holds_are_refused_before_they_are_made(tmp_path):
    frames = stack(0, 1e-6, 1e7)
    path = foreign_seg(
        tmp_path / "s.dcm", [segment(1)], frames, [square()] * 3, measures={"SpacingBetweenSlices": 1e-6}
    )
    refused(path, "need|uneven|collapse|size")


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.9, 0.99])
def test_a_file_that_is_cut_off_is_refused(labels, folder, tmp_path, keep):
    path = eff.save(labels, tmp_path / "seg.dcm", reference=folder)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    refused(path, "seg.dcm")


def test_noise_is_refused_or_read_but_never_a_fault(labels, folder, tmp_path):
    content = eff.save(labels, tmp_path / "seg.dcm", reference=folder).read_bytes()
    random = np.random.default_rng(5)
    for trial in range(40):
        damaged = bytearray(content)
        for at in random.integers(132, len(content), 30):
            damaged[at] = random.integers(256)
        path = tmp_path / f"{trial}.dcm"
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(eff.ImageReadError):  # any other exception is a fault
            eff.load_labels(path)


def test_a_folder_with_one_segmentation_is_that_segmentation(labels, folder, tmp_path):
    (tmp_path / "case").mkdir()
    eff.save(labels, tmp_path / "case" / "seg.dcm", reference=folder)
    for path in folder.iterdir():
        (tmp_path / "case" / path.name).write_bytes(path.read_bytes())
    assert eff.load_labels(tmp_path / "case").names == labels.names


def test_a_folder_with_two_asks_which(labels, folder, tmp_path):
    for name in ("a.dcm", "b.dcm"):
        eff.save(labels, tmp_path / name, reference=folder)
    refused(tmp_path, r"holds 2 DICOM SEG files; give one of them: a\.dcm, b\.dcm")
