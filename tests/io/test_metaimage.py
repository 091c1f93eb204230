from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

import napari_effseg as eff

from .conftest import read_with_itk


def _image(shape=(5, 4, 3), dtype=np.int16, channels=False) -> sitk.Image:
    array = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    image = sitk.GetImageFromArray(array, isVector=channels)
    image.SetSpacing([0.5, 2.0, 3.0][: image.GetDimension()])
    return image


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", [".mha", ".mhd"])
def test_itks_own_files_are_read_alike(tmp_path, ending, compressed):
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(_image(), str(path), useCompression=compressed)
    volume = eff.load(path)
    voxels, affine = read_with_itk(path)
    np.testing.assert_array_equal(volume.data, voxels)
    np.testing.assert_allclose(volume.affine, affine)


def test_the_components_of_a_voxel_are_channels(tmp_path):
    sitk.WriteImage(_image((5, 4, 3, 2), channels=True), str(tmp_path / "a.mha"))
    volume = eff.load(tmp_path / "a.mha")
    assert volume.data.shape == (2, 3, 4, 5)
    assert volume.data[1, 0, 0, 0] == 1


def test_a_fourth_axis_is_time(tmp_path):
    image = sitk.JoinSeries([_image(), _image() + 1])
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    assert "2 time points" in eff.load(tmp_path / "a.mha").warnings[0]
    assert eff.load(tmp_path / "a.mha", frame=1).data[0, 0, 0] == 1


def test_a_picture_gets_a_third_axis(tmp_path):
    sitk.WriteImage(_image((4, 3)), str(tmp_path / "a.mha"))
    volume = eff.load(tmp_path / "a.mha")
    assert volume.data.shape == (3, 4, 1)
    np.testing.assert_allclose(volume.affine, np.diag([-0.5, -2, 1, 1]))


def test_text_voxels_are_read(tmp_path):
    text = "ObjectType = Image\nNDims = 3\nBinaryData = False\nDimSize = 2 2 1\nElementType = MET_SHORT\n"
    (tmp_path / "a.mha").write_text(text + "ElementDataFile = LOCAL\n1 2 3 4\n")
    assert eff.load(tmp_path / "a.mha").data.ravel(order="F").tolist() == [1, 2, 3, 4]


def test_a_header_whose_data_file_is_missing_names_it(tmp_path):
    sitk.WriteImage(_image(), str(tmp_path / "a.mhd"))
    (tmp_path / "a.raw").unlink()
    with pytest.raises(eff.ImageReadError, match=r"a\.raw, which is not beside it"):
        eff.load(tmp_path / "a.mhd")


def test_a_data_file_that_is_too_short_is_noticed(tmp_path):
    sitk.WriteImage(_image(), str(tmp_path / "a.mhd"))
    (tmp_path / "a.raw").write_bytes(b"\0" * 7)
    with pytest.raises(eff.ImageReadError, match="promises 3 x 4 x 5 voxels"):
        eff.load(tmp_path / "a.mhd")


@pytest.mark.parametrize(
    "broken", [("3 4 5", "3 4"), ("MET_SHORT", "MET_OTHER"), ("DimSize", "Size"), ("3 4 5", "3 0 5")]
)
def test_a_damaged_header_is_refused(tmp_path, broken):
    path = tmp_path / "a.mha"
    sitk.WriteImage(_image(), str(path))
    path.write_bytes(path.read_bytes().replace(broken[0].encode(), broken[1].encode(), 1))
    with pytest.raises(eff.ImageReadError, match=r"a\.mha"):
        eff.load(path)


def test_complex_voxels_are_refused_in_words(tmp_path):
    path = tmp_path / "a.nii"
    sitk.WriteImage(
        sitk.RealAndImaginaryToComplex(_image(dtype=np.float32), _image(dtype=np.float32)), str(path)
    )
    with pytest.raises(eff.ImageReadError, match="magnitude"):
        eff.load(path)
