from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
import zarr

import napari_effseg as eff
from napari_effseg.errors import AffineError, ImageReadError, MissingExtra
from napari_effseg.io import load_grid, ome_zarr
from napari_effseg.volume import LazyView, Volume, reorient, same_grid, view_of

from .zarr_images import (
    VERSIONS,
    ZARR_3,
    axes_of,
    dataset,
    edit,
    write_array,
    write_group,
    write_image,
    zipped,
)

ZYX = np.arange(5 * 6 * 7, dtype=np.uint16).reshape(5, 6, 7)
SCALE = [2.5, 0.75, 0.5]  # z, y, x
LPS = "no orientation is stored"
RAS = {"x": "left-to-right", "y": "posterior-to-anterior", "z": "inferior-to-superior"}


@pytest.fixture(params=VERSIONS)
def version(request) -> str:
    return request.param


@pytest.fixture
def image(tmp_path, version):
    levels = [ZYX, ZYX[:, ::2, ::2]]
    scales = [SCALE, [2.5, 1.5, 1.0]]
    return write_image(tmp_path / "a.ome.zarr", levels, axes_of("zyx"), scales, version=version)


def simple(tmp_path, values=ZYX, axes=None, scales=None, **more):
    """An image of one level that says where it lies."""
    given = axes or axes_of("zyx", **RAS)
    return write_image(tmp_path / "a.zarr", [values], given, scales or [SCALE], **more)


# What is read


def test_axes_are_x_y_z_and_nothing_is_read_before_it_is_needed(image):
    volume = eff.load(image)
    assert isinstance(volume.data, LazyView)
    assert volume.shape == (7, 6, 5)
    assert volume.data.dtype == np.uint16
    np.testing.assert_array_equal(np.asarray(volume.data), ZYX.T)
    np.testing.assert_array_equal(np.asarray(volume.data[2:5, ::-1, 3]), ZYX.T[2:5, ::-1, 3])


def test_without_orientation_the_axes_are_those_of_itk_and_it_is_said(image):
    volume = eff.load(image)
    np.testing.assert_allclose(volume.affine, np.diag([-0.5, -0.75, 2.5, 1]))
    assert volume.axcodes == ("L", "P", "S")
    assert LPS in " ".join(volume.warnings)


LEGAL = ["".join(extra) + "yx" for n in range(4) for extra in itertools.combinations("tcz", n)]


@pytest.mark.parametrize("names", LEGAL)
def test_every_legal_set_of_axes_is_read(tmp_path, names):
    sides = {"t": 2, "c": 3, "z": 4, "y": 5, "x": 6}
    values = np.random.default_rng(0).integers(0, 255, [sides[name] for name in names]).astype(np.uint8)
    path = write_image(tmp_path / "a.zarr", [values], axes_of(names))
    volume = eff.load(path, frame=1 if "t" in names else None)
    expected = values.take(1, names.index("t")) if "t" in names else values
    left = names.replace("t", "")
    expected = expected if "z" in left else np.expand_dims(expected, left.index("y"))
    order = (0, 3, 2, 1) if "c" in left else (2, 1, 0)
    np.testing.assert_array_equal(np.asarray(volume.data), expected.transpose(order))


@pytest.mark.parametrize("names", ["xyz", "zxy", "yczx", "xtyz"])
def test_axes_in_other_orders_are_found_by_their_names(tmp_path, names):
    sides = {"t": 1, "c": 1, "z": 4, "y": 5, "x": 6}
    values = np.random.default_rng(0).normal(size=[sides[name] for name in names]).astype(np.float32)
    volume = eff.load(write_image(tmp_path / "a.zarr", [values], axes_of(names)))
    space = values.squeeze()
    order = [names.replace("c", "").replace("t", "").index(name) for name in "xyz"]
    np.testing.assert_array_equal(np.asarray(volume.data), space.transpose(order))


def test_a_level_is_chosen(image):
    volume = eff.load(image, level=1)
    np.testing.assert_array_equal(np.asarray(volume.data), ZYX[:, ::2, ::2].T)
    assert volume.spacing == (1.0, 1.5, 2.5)
    assert same_grid(load_grid(image, level=1), volume.grid)


def test_the_finest_level_is_taken_and_the_others_are_mentioned(image):
    said = "the finest of 2 resolutions was taken, 7 x 6 x 5 voxels; level 1 of 0 to 1 has 4 x 3 x 5"
    assert said in eff.load(image).warnings
    assert said not in eff.load(image, level=0).warnings


def test_the_levels_are_listed_without_reading_them(image):
    first, second = ome_zarr.levels(image)
    assert (first.index, first.shape, first.spacing) == (0, (7, 6, 5), (0.5, 0.75, 2.5))
    assert (second.index, second.shape, second.spacing) == (1, (4, 3, 5), (1.0, 1.5, 2.5))
    assert (first.channels, first.times, first.dtype) == (1, 1, np.uint16)


def test_a_level_that_is_not_there_is_named(image):
    with pytest.raises(ImageReadError, match="level 2 was asked for; the image has levels 0 to 1"):
        eff.load(image, level=2)


def test_a_level_of_another_format_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", ZYX)
    with pytest.raises(ImageReadError, match="level= chooses from OME-Zarr"):
        eff.load(tmp_path / "a.npy", level=0)


def test_the_first_of_several_times_is_taken_and_said(tmp_path):
    values = np.stack([ZYX, ZYX + 1])
    path = simple(tmp_path, values, axes_of("tzyx", **RAS), [[1, *SCALE]])
    volume = eff.load(path)
    np.testing.assert_array_equal(np.asarray(volume.data), ZYX.T)
    assert volume.warnings == ("the file has 2 time points; the first (frame 0) was taken",)
    np.testing.assert_array_equal(np.asarray(eff.load(path, frame=1).data), ZYX.T + 1)


def test_channels_are_named_as_the_display_settings_name_them(tmp_path, version):
    values = np.stack([ZYX, ZYX + 1, ZYX + 2])
    window = {"start": 100, "end": 500, "min": 0, "max": 65535}
    channels = [{"label": "t1", "window": window}, {"label": "t2"}, {"label": "flair"}]
    path = simple(
        tmp_path,
        values,
        axes_of("czyx"),
        [[1, *SCALE]],
        version=version,
        more={"omero": {"channels": channels}},
    )
    volume = eff.load(path)
    assert volume.channel_names == ("t1", "t2", "flair")
    assert volume.window == (300, 400)
    one = eff.load(path, channel=2)
    assert one.channel_names == ("flair",)
    np.testing.assert_array_equal(np.asarray(one.data), ZYX.T + 2)


@pytest.mark.parametrize("inside", ["", "a.ome.zarr"])
@pytest.mark.parametrize("name", ["a.ome.zarr.zip", "a.ozx"])
def test_a_zip_file_is_read_like_a_folder(image, name, inside):
    volume, found = eff.load(image), eff.load(zipped(image, name, inside))
    np.testing.assert_array_equal(np.asarray(found.data), np.asarray(volume.data))
    np.testing.assert_array_equal(found.affine, volume.affine)


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">u2", "<i4", ">f4", "<f8"])
def test_every_real_type_comes_in_the_byte_order_of_the_machine(tmp_path, dtype):
    volume = eff.load(simple(tmp_path, (ZYX % 100).astype(dtype)))
    assert volume.data.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.asarray(volume.data).dtype.isnative
    np.testing.assert_array_equal(np.asarray(volume.data), ZYX.T % 100)


def test_chunks_that_were_never_written_hold_the_fill_value(tmp_path):
    path = simple(tmp_path)
    for chunk in (path / "0").glob("[0-9]*"):
        chunk.unlink()
    assert not np.asarray(eff.load(path).data).any()


@pytest.mark.skipif(not ZARR_3, reason="shards came with zarr 3")
def test_shards_are_read_by_the_chunks_in_them(tmp_path):
    path = write_image(tmp_path / "a.zarr", [ZYX], axes_of("zyx"), [SCALE], version="0.5")
    array = zarr.create_array(
        str(path / "0"), shape=ZYX.shape, shards=(4, 4, 8), chunks=(2, 2, 4), dtype=ZYX.dtype, overwrite=True
    )
    array[...] = ZYX
    data = eff.load(path).data
    assert data.chunks == (4, 2, 2)
    np.testing.assert_array_equal(np.asarray(data), ZYX.T)


# Where it lies


@pytest.mark.parametrize(
    ("unit", "mm"),
    [
        ("micrometer", 1e-3),
        ("nanometer", 1e-6),
        ("millimeter", 1),
        ("meter", 1e3),
        ("µm", 1e-3),
        ("inch", 25.4),
    ],
)
def test_units_are_turned_to_millimetres(tmp_path, unit, mm):
    volume = eff.load(simple(tmp_path, axes=axes_of("zyx", unit, **RAS)))
    np.testing.assert_allclose(volume.spacing, np.array([0.5, 0.75, 2.5]) * mm)
    assert not volume.warnings


@pytest.mark.parametrize(("unit", "said"), [(None, "no unit: mm"), ("pixel", "pixel is unknown: mm")])
def test_a_unit_that_says_no_length_is_taken_as_mm_and_said(tmp_path, unit, said):
    volume = eff.load(simple(tmp_path, axes=axes_of("zyx", unit, **RAS)))
    assert volume.spacing == (0.5, 0.75, 2.5)
    assert said in " ".join(volume.warnings)


def test_no_scale_at_all_is_one_millimetre_and_said(tmp_path):
    volume = eff.load(simple(tmp_path, scales=[None]))
    assert volume.spacing == (1.0, 1.0, 1.0)
    assert volume.warnings == ("no voxel size is stored: 1 mm is taken",)


def test_transformations_of_level_and_image_follow_each_other(tmp_path):
    path = simple(
        tmp_path,
        axes=axes_of("zyx", **RAS),
        coordinateTransformations=[
            {"type": "identity"},
            {"type": "scale", "scale": [2, 2, 2]},
            {"type": "translation", "translation": [100, 10, 1]},
        ],
        datasets=[dataset("0", SCALE, [3, 2, 1])],
    )
    volume = eff.load(path)
    np.testing.assert_allclose(volume.spacing, (1.0, 1.5, 5.0))
    np.testing.assert_allclose(volume.origin, (2 * 1 + 1, 2 * 2 + 10, 2 * 3 + 100))


@pytest.mark.parametrize(
    ("orientation", "axcodes"),
    [
        (RAS, "RAS"),
        ({"x": "right-to-left", "y": "anterior-to-posterior", "z": "superior-to-inferior"}, "LPI"),
        ({"x": "anterior-to-posterior", "y": "superior-to-inferior", "z": "left-to-right"}, "PIR"),
    ],
)
def test_an_orientation_that_is_stored_is_used(tmp_path, orientation, axcodes):
    path = simple(tmp_path, axes=axes_of("zyx", **orientation), datasets=[dataset("0", SCALE, [30, 20, 10])])
    volume = eff.load(path)
    assert volume.axcodes == tuple(axcodes)
    sign = {letter: 1 if letter in "RAS" else -1 for letter in axcodes}
    along = {letter: sign[letter] * start for letter, start in zip(axcodes, (10, 20, 30), strict=True)}
    world = [next(along[letter] for letter in pair if letter in along) for pair in ("RL", "AP", "SI")]
    np.testing.assert_allclose(volume.origin, world)
    assert not volume.warnings


def test_a_draft_s_name_of_the_orientation_is_understood(tmp_path):
    axes = axes_of("zyx")
    for axis in axes:
        axis["anatomicalOrientation"] = RAS[axis["name"]]
    assert eff.load(simple(tmp_path, axes=axes)).axcodes == ("R", "A", "S")


def test_an_orientation_of_another_vocabulary_is_said_not_guessed(tmp_path):
    volume = eff.load(simple(tmp_path, axes=axes_of("zyx", **{**RAS, "z": "dorsal-to-ventral"})))
    assert volume.axcodes == ("L", "P", "S")
    assert "z dorsal-to-ventral, y posterior-to-anterior, x left-to-right) is not understood" in " ".join(
        volume.warnings
    )


def test_two_axes_with_one_direction_are_not_believed(tmp_path):
    volume = eff.load(simple(tmp_path, axes=axes_of("zyx", **{**RAS, "y": "right-to-left"})))
    assert volume.axcodes == ("L", "P", "S")


def test_a_picture_lies_as_pictures_do(tmp_path):
    volume = eff.load(simple(tmp_path, ZYX[0], axes_of("yx", "millimeter"), [[0.75, 0.5]]))
    assert volume.shape == (7, 6, 1)
    np.testing.assert_allclose(volume.affine, np.diag([-0.5, -0.75, 1, 1]))
    assert not volume.warnings


def test_a_picture_with_an_orientation_gets_a_third_axis_across(tmp_path):
    axes = axes_of("yx", x="anterior-to-posterior", y="superior-to-inferior")
    volume = eff.load(simple(tmp_path, ZYX[0], axes, [[0.75, 0.5]]))
    assert volume.axcodes[:2] == ("P", "I")
    assert np.linalg.det(volume.affine[:3, :3]) > 0


def test_older_metadata_are_read_too(tmp_path):
    path = simple(tmp_path, ZYX[None, None], axes=list("tczyx"), scales=[None])
    edit(path / ".zattrs", lambda attributes: attributes["multiscales"][0].update(version="0.3"))
    assert eff.load(path).shape == (7, 6, 5)
    edit(path / ".zattrs", lambda attributes: attributes["multiscales"][0].pop("axes"))
    assert eff.load(path).shape == (7, 6, 5)


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "PIR", "SAL"])
def test_a_volume_of_a_zarr_array_is_turned_cut_and_saved(image, tmp_path, axcodes):
    volume = eff.load(image)
    turned = reorient(eff.volume.crop(volume, ((1, 0, 2), (6, 5, 5))), axcodes)
    saved = eff.load(eff.save(turned, tmp_path / "b.nii.gz"))
    np.testing.assert_array_equal(np.asarray(reorient(saved, "LPS").data), ZYX.T[1:6, 0:5, 2:5])
    assert same_grid(saved.grid, turned.grid)


# Labels


@pytest.fixture
def labelled(tmp_path, version):
    path = write_image(tmp_path / "a.zarr", [ZYX], axes_of("zyx"), [SCALE], version=version)
    write_group(path / "labels", {"labels": ["organs"]}, version)
    described = {
        "colors": [{"label-value": 1, "rgba": [255, 0, 9, 255]}, {"label-value": 0, "rgba": [0, 0, 0, 0]}],
        "properties": [{"label-value": 1, "name": "liver"}, {"label-value": 2, "Class": "spleen", "area": 7}],
    }
    write_image(
        path / "labels" / "organs",
        [(ZYX % 3).astype(np.uint8)],
        axes_of("zyx"),
        [SCALE],
        version=version,
        more={"image-label": described},
    )
    return path


@pytest.mark.parametrize("inside", ["", "labels", "labels/organs"])
def test_labels_are_read_with_names_and_colours(labelled, inside):
    labels = eff.load_labels(labelled / inside)
    np.testing.assert_array_equal(labels.data, (ZYX % 3).T)
    assert labels.names == {1: "liver", 2: "spleen"}
    assert labels.colours == {1: (255, 0, 9)}
    assert same_grid(labels.grid, eff.load(labelled).grid)


def test_several_label_images_are_named(labelled, version):
    write_group(labelled / "labels", {"labels": ["organs", "cells"]}, version)
    with pytest.raises(ImageReadError, match="2 label images: organs, cells; give one"):
        eff.load_labels(labelled)


def test_an_image_without_labels_of_its_own_is_taken_for_labels(image):
    assert eff.load_labels(image, level=1).data.max() == ZYX[:, ::2, ::2].max()


def test_colours_that_are_none_are_left_out_and_said(labelled, version):
    file = labelled / "labels" / "organs" / (".zattrs" if version == "0.4" else "zarr.json")

    def spoil(node):
        attributes = node if version == "0.4" else node["attributes"]["ome"]
        attributes["image-label"]["colors"][0]["rgba"] = [300, 0, 0]

    edit(file, spoil)
    labels = eff.load_labels(labelled)
    assert not labels.colours
    assert "1 colours of labels are wrong" in " ".join(labels.warnings)


def test_labels_that_memory_does_not_hold_are_refused_unread(tmp_path):
    path = simple(tmp_path)
    edit(path / "0" / ".zarray", lambda node: node.update(shape=[10**6, 10**6, 10**6]))
    with pytest.raises(ImageReadError, match="of memory"):
        eff.load_labels(path)


# Files of several images


def test_the_only_image_of_a_conversion_is_taken(tmp_path, version):
    write_group(tmp_path / "a.zarr", {"bioformats2raw.layout": 3}, version)
    write_image(tmp_path / "a.zarr" / "0", [ZYX], axes_of("zyx"), version=version)
    assert eff.load(tmp_path / "a.zarr").shape == (7, 6, 5)
    write_image(tmp_path / "a.zarr" / "1", [ZYX[1:]], axes_of("zyx"), version=version)
    with pytest.raises(ImageReadError, match=r"2 images \(0, 1\); give one"):
        eff.load(tmp_path / "a.zarr")
    assert eff.load(tmp_path / "a.zarr" / "1").shape == (7, 6, 4)


def test_a_plate_says_how_to_give_a_field_of_it(tmp_path, version):
    write_group(tmp_path / "a.zarr", {"plate": {"wells": [{"path": "B/03"}, {"path": "B/04"}]}}, version)
    with pytest.raises(ImageReadError, match=r"plate of 2 wells \(B/03, B/04\); .* such as B/03/0"):
        eff.load(tmp_path / "a.zarr")


# What cannot be read


def test_a_zarr_array_alone_is_no_image(tmp_path):
    write_array(tmp_path / "a.zarr", ZYX)
    with pytest.raises(ImageReadError, match="no OME-Zarr image"):
        eff.load(tmp_path / "a.zarr")


def test_an_empty_folder_is_no_image(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(ImageReadError, match="no Zarr group"):
        eff.load(tmp_path / "a.zarr")


@pytest.mark.parametrize("url", ["https://example.org/a.zarr", "s3://bucket/a.ome.zarr", "HTTP://x/a.zarr"])
def test_nothing_is_fetched(url):
    with pytest.raises(ImageReadError, match="nothing is fetched"):
        eff.load(url)


def test_a_file_that_is_no_zip_is_said(tmp_path):
    (tmp_path / "a.zarr").write_bytes(b"no zip file at all")
    with pytest.raises(ImageReadError, match="a folder or a zip file"):
        eff.load(tmp_path / "a.zarr")


def test_a_zip_file_that_is_cut_off_is_said(image):
    path = zipped(image, "b.ome.zarr.zip")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ImageReadError, match="cut off"):
        eff.load(path)


def change_image(attributes, **changes):
    attributes["multiscales"][0].update(changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": "0.6"}, "version 0.6"),
        ({"version": ["x"]}, "version"),
        ({"coordinateSystems": []}, "0.1 to 0.5 are read"),
        ({"datasets": []}, "name no level"),
        ({"datasets": [{"path": "../../secret"}]}, "inside of the image"),
        ({"datasets": [{"path": "/etc"}]}, "inside of the image"),
        ({"datasets": [{"path": "C:\\data"}]}, "inside of the image"),
        ({"datasets": [{"path": 3}]}, "inside of the image"),
        ({"datasets": ["0"]}, "damaged"),
        ({"datasets": [dataset("7", SCALE)]}, "not there"),
        ({"datasets": [dataset("0", [1, 2])]}, "expected 3, one an axis"),
        ({"datasets": [dataset("0", [1, float("nan"), 1])]}, "expected 3, one an axis"),
        ({"datasets": [dataset("0", [1, "2", 1])]}, "expected 3, one an axis"),
        ({"datasets": [{"path": "0", "coordinateTransformations": [{"type": "affine"}]}]}, "'affine'"),
        ({"datasets": [{"path": "0", "coordinateTransformations": 7}]}, "a list of them"),
        ({"axes": "zyx"}, "axes"),
        ({"axes": [{"name": "x", "type": "space"}] * 3}, "one name"),
        ({"axes": axes_of("yx")}, "expected 2, one an axis"),
        ({"axes": axes_of("yx"), "datasets": [{"path": "0"}]}, "3 axes; its metadata name 2"),
        ({"axes": axes_of("tcx")}, "two or three"),
        ({"axes": [{"name": n, "type": "time"} for n in "st"] + axes_of("yx")}, "several axes of time"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_metadata_that_are_wrong_or_hostile_are_refused_in_words(tmp_path, changes, said):
    path = simple(tmp_path)
    edit(path / ".zattrs", lambda attributes: change_image(attributes, **changes))
    with pytest.raises(ImageReadError, match=said):
        eff.load(path)


def test_a_voxel_without_size_is_an_affine_error(tmp_path):
    with pytest.raises(AffineError, match=r"a\.zarr.*scale"):
        eff.load(simple(tmp_path, scales=[[1, 0, 1]]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"compressor": {"id": "pickle"}}, "'pickle', which is not read"),
        ({"filters": [{"id": "json2"}]}, "'json2', which is not read"),
        ({"dtype": "|O"}, "expected real numbers"),
        ({"dtype": [["a", "<u2"]]}, "expected real numbers"),
        ({"dtype": "no such type"}, "expected real numbers"),
        ({"shape": [5, 6, -7]}, "whole numbers from 1"),
        ({"shape": [5, 6, 0]}, "whole numbers from 1"),
        ({"shape": None}, "whole numbers from 1"),
        ({"shape": [5, 6]}, "2 axes, but chunks of 3"),
        ({"chunks": [4096, 4096, 4096]}, r"chunks of 137\.4 GB"),
    ],
    ids=str,
)
def test_arrays_that_are_wrong_or_hostile_are_refused_in_words(tmp_path, changes, said):
    path = simple(tmp_path)
    edit(path / "0" / ".zarray", lambda node: node.update(changes))
    with pytest.raises(ImageReadError, match=said):
        eff.load(path)


@pytest.mark.skipif(not ZARR_3, reason="Zarr 3 stores need zarr 3")
def test_codecs_inside_of_shards_are_looked_at_too(tmp_path):
    path = simple(tmp_path, version="0.5")

    def shard(node):
        inside = {"chunk_shape": [1, 1, 1], "codecs": [{"name": "numcodecs.pickle"}], "index_codecs": []}
        node["codecs"] = [{"name": "sharding_indexed", "configuration": inside}]

    edit(path / "0" / "zarr.json", shard)
    with pytest.raises(ImageReadError, match="'pickle', which is not read"):
        eff.load(path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000, "\x00"], ids=repr)
def test_json_that_is_none_is_said(tmp_path, text):
    path = simple(tmp_path)
    (path / ".zattrs").write_text(text)
    with pytest.raises(ImageReadError, match="JSON"):
        eff.load(path)


def test_a_huge_claim_costs_nothing_until_it_is_read(tmp_path):
    path = simple(tmp_path)
    edit(path / "0" / ".zarray", lambda node: node.update(shape=[10**9, 10**9, 10**9]))
    volume = eff.load(path)
    assert volume.shape == (10**9, 10**9, 10**9)
    np.testing.assert_array_equal(np.asarray(volume.data[:2, :2, :2]), ZYX.T[:2, :2, :2])


def test_a_damaged_chunk_is_said_when_it_is_read(tmp_path):
    path = simple(tmp_path, version="0.4")
    for chunk in (path / "0").glob("[0-9]*"):
        chunk.write_bytes(b"damaged")
    volume = eff.load(path)
    with pytest.raises(ImageReadError, match="its voxels cannot be read"):
        np.asarray(volume.data)


def test_without_zarr_the_extra_is_named_and_metadata_are_read(image, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    assert len(ome_zarr.levels(image)) == 2
    with pytest.raises(MissingExtra, match=r"napari-effseg\[zarr\]"):
        eff.load(image)


# Arrays of other libraries, as viewers hold them


def test_a_zarr_array_may_be_turned_and_flipped(tmp_path):
    write_array(tmp_path / "a.zarr", ZYX)
    array = zarr.open_array(str(tmp_path / "a.zarr"), mode="r")
    volume = Volume(view_of(array).transpose(2, 1, 0)[::-1], np.eye(4))
    np.testing.assert_array_equal(np.asarray(volume.data), ZYX.T[::-1])
    assert Volume(array, np.eye(4)).data is array


def test_a_dask_array_is_a_volume_s_data(tmp_path):
    dask = pytest.importorskip("dask.array")
    array = dask.from_array(ZYX, chunks=(2, 3, 4)).T[:, ::-1]
    volume = Volume(array, np.eye(4))
    assert volume.data is array
    turned = reorient(volume, "LPS")
    np.testing.assert_array_equal(np.asarray(turned.data), ZYX.T[::-1])
    assert view_of(array).chunks == (4, 3, 2)


def test_dask_reads_a_loaded_image(image):
    dask = pytest.importorskip("dask.array")
    array = dask.from_array(eff.load(image).data, chunks=3)
    assert int(array.max()) == ZYX.max()
