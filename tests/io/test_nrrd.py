from __future__ import annotations

import gzip

import nrrd
import numpy as np
import pytest

import napari_effseg as eff
from napari_effseg.volume import Code, ras_to_lps

from .conftest import oblique, read_with_itk

TAG = (
    "Segmentation.Status:inprogress|TerminologyEntry:Segmentation category and type - 3D Slicer General "
    "Anatomy list~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^24028007^Right"
    "~Anatomic codes - DICOM master list~^^~^^|"
)


def write(path, data, header=(), **fields):
    """Write an NRRD file by hand: pynrrd's writer knows the time and only ASCII."""
    lps = ras_to_lps(oblique())
    rows = [",".join(map(repr, column.tolist())) for column in lps[:3, :3].T]
    given = {
        "type": {"u1": "unsigned char", "i2": "short", "f4": "float"}[data.dtype.str[1:]],
        "dimension": data.ndim,
        "space": "left-posterior-superior",
        "space dimension": None,  # instead of a space; must come before what it measures
        "sizes": " ".join(map(str, data.shape)),
        "space directions": " ".join(["none"] * (data.ndim - 3) + [f"({row})" for row in rows]),
        "kinds": " ".join(["list"] * (data.ndim - 3) + ["domain"] * 3),
        "endian": "little",
        "encoding": "raw",
        "space origin": "(" + ",".join(map(repr, lps[:3, 3].tolist())) + ")",
    }
    given |= {key.replace("_", " "): value for key, value in fields.items()}
    lines = ["NRRD0004", "# made by a test"]
    lines += [f"{key}: {value}" for key, value in given.items() if value is not None]
    text = "\n".join([*lines, *header]) + "\n\n"
    path.write_bytes(text.encode() + data.tobytes(order="F"))
    return path


@pytest.fixture
def values() -> np.ndarray:
    return np.arange(60, dtype=np.int16).reshape(3, 4, 5)


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (-1, -1, 1)),
        ("LPS", (-1, -1, 1)),
        ("right-anterior-superior", (1, 1, 1)),
        ("RAS", (1, 1, 1)),
        ("left-anterior-superior", (-1, 1, 1)),
        ("scanner-xyz", (-1, -1, 1)),
    ],
)
def test_every_space_becomes_ras(tmp_path, values, space, signs):
    volume = eff.load(write(tmp_path / "a.nrrd", values, space=space))
    stored = ras_to_lps(oblique())
    np.testing.assert_allclose(volume.affine, np.diag([*signs, 1]) @ stored, atol=1e-9)
    if space in ("left-posterior-superior", "right-anterior-superior", "scanner-xyz"):
        np.testing.assert_allclose(volume.affine, read_with_itk(tmp_path / "a.nrrd")[1], atol=1e-9)


def test_an_unnamed_space_is_lps_as_in_itk(tmp_path, values):
    path = write(tmp_path / "a.nrrd", values, space=None, space_dimension=3)
    np.testing.assert_allclose(eff.load(path).affine, read_with_itk(path)[1], atol=1e-9)


def test_spacings_alone_give_the_axes_of_lps_and_a_warning(tmp_path, values):
    nothing = dict.fromkeys(("space", "space_directions", "space_origin"))
    volume = eff.load(write(tmp_path / "a.nrrd", values, **nothing, spacings="0.5 2 3"))
    np.testing.assert_allclose(volume.affine, np.diag([-0.5, -2, 3, 1]))
    assert "no orientation" in volume.warnings[0]
    bare = eff.load(write(tmp_path / "b.nrrd", values, **nothing))
    assert "no voxel size" in bare.warnings[0]


@pytest.mark.parametrize("encoding", ["gzip", "gz", "bzip2", "ascii", "raw"])
def test_every_encoding_gives_the_same_voxels(tmp_path, values, encoding):
    import bz2

    path = write(tmp_path / "a.nrrd", values, encoding=encoding)
    head, _, body = path.read_bytes().partition(b"\n\n")
    if encoding == "ascii":
        body = " ".join(map(str, values.ravel(order="F"))).encode()
    elif encoding != "raw":
        body = (bz2 if encoding == "bzip2" else gzip).compress(body)
    path.write_bytes(head + b"\n\n" + body)
    np.testing.assert_array_equal(eff.load(path).data, values)


def test_big_endian_voxels(tmp_path, values):
    path = write(tmp_path / "a.nrrd", values.astype("<i2"), endian="big")
    np.testing.assert_array_equal(eff.load(path).data, values.byteswap())


def test_a_detached_header_finds_its_voxels(tmp_path, values):
    header = write(tmp_path / "a.nhdr", values, data_file="a.raw", byte_skip="-1")
    text, _, body = header.read_bytes().partition(b"\n\n")
    header.write_bytes(text + b"\n\n")
    with pytest.raises(eff.ImageReadError, match=r"a\.raw, which is not beside it"):
        eff.load(header)
    (tmp_path / "a.raw").write_bytes(b"a foreign header" + body)
    np.testing.assert_array_equal(eff.load(header).data, values)


@pytest.mark.parametrize(("kind", "channels"), [("vector", 2), ("RGB-color", 3), ("list", 4)])
def test_an_axis_of_colours_or_vectors_becomes_channels(tmp_path, kind, channels):
    data = np.arange(60 * channels, dtype=np.int16).reshape(channels, 3, 4, 5)
    volume = eff.load(write(tmp_path / "a.nrrd", data, kinds=f"{kind} domain domain domain"))
    np.testing.assert_array_equal(volume.data, data)


def test_a_time_axis_is_chosen_from(tmp_path):
    data = np.arange(120, dtype=np.int16).reshape(3, 4, 5, 2)
    rows = "(1,0,0) (0,1,0) (0,0,1) none"
    path = write(tmp_path / "a.nrrd", data, kinds="domain domain domain time", space_directions=rows)
    np.testing.assert_array_equal(eff.load(path, frame=1).data, data[..., 1])
    assert "2 time points" in eff.load(path).warnings[0]


# --- Slicer's segmentations ---


def segment(index, **fields):
    return [f"Segment{index}_{key}:={value}" for key, value in fields.items()]


def test_slicers_fields_are_read(tmp_path):
    data = np.zeros((3, 4, 5), np.uint8)
    data[1, 1, 1], data[2, 2, 2] = 4, 7
    header = segment(
        0, ID="Segment_1", Name="Niere rechts", LabelValue=7, Layer=0, Color="0.725490 0.4 0.32549", Tags=TAG
    )
    header += segment(1, ID="Segment_2", Name="Zyste: links", LabelValue=4, Layer=0, Color="1 0 0")
    labels = eff.load_labels(write(tmp_path / "a.seg.nrrd", data, header))
    assert labels.names == {7: "Niere rechts", 4: "Zyste: links"}
    assert labels.colours == {7: (185, 102, 83), 4: (255, 0, 0)}
    assert labels.codes == {7: Code("SCT", "64033007", "Kidney", "right")}
    np.testing.assert_array_equal(labels.data, data)


def test_the_side_may_stand_with_the_region(tmp_path):
    tag = TAG.replace("~SCT^24028007^Right~", "~^^~").replace("~^^~^^|", "~SCT^1^Region~SCT^7771000^Left|")
    header = segment(0, Name="a", LabelValue=1, Tags=tag)
    labels = eff.load_labels(write(tmp_path / "a.seg.nrrd", np.ones((3, 4, 5), np.uint8), header))
    assert labels.codes[1].laterality == "left"


def test_layers_are_laid_over_each_other_with_a_warning(tmp_path):
    data = np.zeros((2, 3, 4, 5), np.uint8)
    data[0, :2] = 1
    data[1, 1:] = 1  # the same number in another layer; the middle plane overlaps
    header = segment(0, Name="under", LabelValue=1, Layer=0) + segment(1, Name="over", LabelValue=1, Layer=1)
    labels = eff.load_labels(write(tmp_path / "a.seg.nrrd", data, header))
    assert labels.names == {1: "under", 2: "over"}
    assert labels.data[:, 0, 0].tolist() == [1, 2, 2]
    assert any("at 20 places a later segment hides" in text for text in labels.warnings)
    assert any("new numbers" in text for text in labels.warnings)


def test_layers_that_do_not_overlap_need_no_warning(tmp_path):
    data = np.zeros((2, 3, 4, 5), np.uint8)
    data[0, 0], data[1, 2] = 1, 2
    header = segment(0, Name="a", LabelValue=1, Layer=0) + segment(1, Name="b", LabelValue=2, Layer=1)
    labels = eff.load_labels(write(tmp_path / "a.seg.nrrd", data, header))
    assert labels.warnings == ()
    assert labels.counts() == {1: 20, 2: 20}


def test_a_single_voxel_means_no_image(tmp_path):
    header = ["Segmentation_ContainedRepresentationNames:=Binary labelmap|"]
    header += segment(0, Name="nothing yet", LabelValue=1)
    labels = eff.load_labels(write(tmp_path / "a.seg.nrrd", np.zeros((1, 1, 1), np.uint8), header))
    assert labels.names == {1: "nothing yet"}
    assert "holds no image" in labels.warnings[0]


def test_a_segment_in_a_layer_that_is_not_there_is_refused(tmp_path):
    header = segment(0, Name="a", LabelValue=1, Layer=5)
    with pytest.raises(eff.ImageReadError, match="layer 5"):
        eff.load_labels(write(tmp_path / "a.seg.nrrd", np.zeros((2, 3, 4, 5), np.uint8), header))


@pytest.mark.parametrize("field", [{"LabelValue": "one"}, {"Color": "red"}, {"Color": "1 0"}, {"Layer": ""}])
def test_damaged_segment_fields_are_refused(tmp_path, field):
    header = segment(0, Name="a", **{"LabelValue": 1, **field})
    with pytest.raises(eff.ImageReadError, match="segment fields are damaged"):
        eff.load_labels(write(tmp_path / "a.seg.nrrd", np.zeros((3, 4, 5), np.uint8), header))


def test_written_fields_are_those_of_slicer(labels, tmp_path):
    header = nrrd.read_header(str(eff.save(labels, tmp_path / "a.seg.nrrd")))
    assert header["Segmentation_SourceRepresentation"] == "Binary labelmap"
    assert header["Segmentation_ReferenceImageExtentOffset"] == "0 0 0"
    assert header["Segment0_ID"] == "Segment_1"
    assert header["Segment0_Extent"] == "1 3 2 4 1 2"
    assert header["Segment0_Layer"] == "0"
    entry = header["Segment0_Tags"].split("TerminologyEntry:")[1]
    assert len(entry.split("~")) == 7


def test_an_image_is_not_written_as_a_segmentation(image, tmp_path):
    with pytest.raises(eff.ExportError, match="holds labels"):
        eff.save(image, tmp_path / "a.seg.nrrd")
