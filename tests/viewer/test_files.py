"""Files as layers and layers as files, through napari's own doors."""

import numpy as np
import pytest

pytest.importorskip("napari", reason="needs the extra [napari]")

from napari.components import ViewerModel
from npe2 import PluginManager, PluginManifest
from npe2.manifest.utils import import_python_name

import napari_effseg as eff
from napari_effseg.errors import ImageReadError
from napari_effseg.viewer import _reader, _sample_data, layers
from napari_effseg.volume import LabelMap, Volume, same_grid
from tests.io.dicom.synthetic import numbered, slices, write

from .builders import affine_of, labels_like, volume_of

LABEL_FILES = [".nii.gz", ".nii", ".nrrd", ".seg.nrrd", ".mha"]
PLUGIN = "napari-effseg"


@pytest.fixture(scope="module")
def manifest():
    return PluginManifest.from_distribution(PLUGIN)


@pytest.fixture
def viewer():
    PluginManager.instance().discover()
    return ViewerModel()


@pytest.fixture
def notes(monkeypatch):
    import napari.utils.notifications

    said = []
    monkeypatch.setattr(napari.utils.notifications, "show_warning", said.append)
    return said


def test_every_command_of_the_manifest_exists(manifest):
    for command in manifest.contributions.commands:
        assert callable(import_python_name(command.python_name))


def test_every_command_has_a_plain_title(manifest):
    titles = [command.title for command in manifest.contributions.commands]
    assert len(set(titles)) == len(titles)
    assert not any("_" in title or ":" in title for title in titles)


def test_the_manifest_names_every_ending_that_io_reads(manifest):
    from napari_effseg.io._formats import FORMATS

    (reader,) = manifest.contributions.readers
    covered = tuple(pattern.removeprefix("*") for pattern in reader.filename_patterns)
    for entry in FORMATS:
        assert all(ending.endswith(covered) for ending in entry.endings), entry


def test_the_manifest_names_every_ending_that_io_writes(manifest):
    from napari_effseg.io._formats import FORMATS

    labels, _ = manifest.contributions.writers
    written = {ending for entry in FORMATS if entry.writes for ending in entry.endings}
    assert written <= set(labels.filename_extensions)


@pytest.mark.parametrize("name", ["a.txt", "a.gz", "notes", "a.nii.bak"])
def test_what_is_not_ours_is_left_to_others(tmp_path, name):
    (tmp_path / name).write_text("nothing of ours")
    assert _reader.get_reader(str(tmp_path / name)) is None


def test_a_folder_without_images_is_left_to_others(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    assert _reader.get_reader(str(tmp_path)) is None


@pytest.mark.parametrize("tilt", [0.0, 20.0])
@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_an_image_opens_at_its_place(viewer, tmp_path, notes, ending, tilt):
    volume = volume_of("PSR", tilt)
    eff.save(volume, tmp_path / f"scan{ending}")
    (layer,) = viewer.open(str(tmp_path / f"scan{ending}"), plugin=PLUGIN)
    assert layer.name == "scan"
    back = layers.layer_to_volume(layer)
    assert np.array_equal(back.data, volume.data)
    assert np.allclose(back.affine, volume.affine, atol=1e-4)
    assert notes == []


@pytest.mark.parametrize("ending", LABEL_FILES)
@pytest.mark.parametrize("axcodes", ["RAS", "PSR", "IRA"])
def test_labels_saved_from_napari_open_again_as_they_were(viewer, tmp_path, notes, ending, axcodes):
    labels = labels_like(volume_of(axcodes, 15))
    data, keywords, _ = layers.labels_layer(labels, name="organs")
    viewer.add_labels(data, **keywords)
    path = str(tmp_path / f"organs{ending}")
    assert viewer.layers.save(path, plugin=PLUGIN) == [path]
    (layer,) = viewer.open(path, plugin=PLUGIN, layer_type=None)
    assert layer._type_string == "labels"
    back = layers.labels_of_layer(layer)
    assert np.array_equal(back.data, labels.data)
    assert same_grid(back.grid, labels.grid)
    assert (back.names, back.colours, back.codes) == (labels.names, labels.colours, labels.codes)


def test_an_image_saved_from_napari_opens_again_as_it_was(viewer, tmp_path, notes):
    volume = volume_of("AIL", 15)
    (triple,) = layers.image_layers(volume, "scan")
    viewer.add_image(triple[0], **triple[1])
    path = str(tmp_path / "copy.nii.gz")
    viewer.layers.save(path, plugin=PLUGIN)
    assert np.array_equal(eff.load(path).data, volume.data)


def test_a_segmentation_with_a_table_of_names_opens_as_labels(viewer, tmp_path, notes):
    eff.save(labels_like(volume_of()), tmp_path / "seg.nii.gz")
    (layer,) = viewer.open(str(tmp_path / "seg.nii.gz"), plugin=PLUGIN)
    assert layer._type_string == "labels"


def test_an_integer_image_without_names_opens_as_an_image(viewer, tmp_path, notes):
    eff.save(LabelMap(np.ones((3, 4, 5), np.uint8), np.eye(4)), tmp_path / "mask.nii.gz")
    (layer,) = viewer.open(str(tmp_path / "mask.nii.gz"), plugin=PLUGIN)
    assert layer._type_string == "image"


def test_time_points_open_as_one_layer_and_channels_as_several(viewer, tmp_path, notes):
    import nibabel

    data = np.arange(2 * 60, dtype=np.int16).reshape(3, 4, 5, 2)
    nibabel.Nifti1Image(data, affine_of("LPS")).to_filename(tmp_path / "time.nii")
    nibabel.Nifti1Image(data[:, :, :, None], affine_of("LPS")).to_filename(tmp_path / "channels.nii")
    (time,) = viewer.open(str(tmp_path / "time.nii"), plugin=PLUGIN)
    assert (time.ndim, layers.source_of(time).lead) == (4, "time")
    assert np.array_equal(layers.layer_to_volume(time, frame=1).data, data[..., 1])
    assert len(viewer.open(str(tmp_path / "channels.nii"), plugin=PLUGIN)) == 2


def test_several_files_are_the_channels_of_one_case(viewer, tmp_path, notes):
    for name in ("t1", "flair"):
        eff.save(volume_of("LPS"), tmp_path / f"{name}.nii.gz")
    paths = [str(tmp_path / f"{name}.nii.gz") for name in ("t1", "flair")]
    found = viewer.open(paths, stack=True, plugin=PLUGIN)
    assert [layers.source_of(layer).channel for layer in found] == ["t1", "flair"]


def test_what_was_odd_about_a_file_is_told(viewer, tmp_path, notes):
    data = np.ones((3, 4, 5), np.float32)
    data[0, 0, 0] = np.nan
    eff.save(Volume(data, affine_of("LPS")), tmp_path / "odd.nii.gz")
    viewer.open(str(tmp_path / "odd.nii.gz"), plugin=PLUGIN)
    assert notes == ["odd: 1 voxels are NaN or infinite"]


def test_a_series_whose_pixels_are_damaged_hides_no_other(viewer, tmp_path, notes, monkeypatch):
    for number, name in enumerate(("whole", "damaged")):
        uid = f"1.2.{number + 1}"
        write(
            tmp_path / name,
            slices(numbered(), affine_of("LPS"), SeriesInstanceUID=uid, SeriesDescription=name),
        )
    read = _reader.load

    def load(where, series=None, **keywords):
        if series == "1.2.2":
            raise ImageReadError("a.dcm: its pixels are damaged")
        return read(where, series=series, **keywords)

    monkeypatch.setattr(_reader, "load", load)
    (layer,) = viewer.open(str(tmp_path), plugin=PLUGIN)
    assert layer.name == "whole"
    assert layer.visible
    assert notes == [f"{tmp_path.name}: a.dcm: its pixels are damaged"]


def test_a_broken_file_is_one_sentence(viewer, tmp_path):
    (tmp_path / "broken.nii.gz").write_bytes(b"nothing")
    with pytest.raises(ImageReadError, match="broken"):
        viewer.open(str(tmp_path / "broken.nii.gz"), plugin=PLUGIN)


@pytest.mark.parametrize("sample", [_sample_data.hippocampus, _sample_data.hippocampus_2])
def test_sample_cases_open_with_their_reference(viewer, sample):
    image, reference = (viewer._add_layer_from_data(*triple)[0] for triple in sample())
    assert image.visible
    assert not reference.visible
    assert image.data.shape == reference.data.shape
    assert image.data_to_world((3, 4, 5)) == reference.data_to_world((3, 4, 5))
    assert layers.labels_of_layer(reference).counts().keys() == {1, 2}
