"""MONAI bundles give here what MONAI's own workflow gives."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from scipy.spatial.transform import Rotation

import napari_effseg as eff
from napari_effseg.zoo.foreign.add import add_model

from . import bundles

TURN = Rotation.from_euler("xyz", (4, -7, 5), degrees=True).as_matrix()  # oblique, and free of shear
AFFINE = np.eye(4)
AFFINE[:3, :3] = TURN @ np.array([[0.0, 1.1, 0.0], [-0.9, 0.0, 0.0], [0.0, 0.0, 2.6]])
AFFINE[:3, 3] = -31.0, 17.0, 42.0
SHAPE = (31, 27, 18)


def image_of(name, folder):
    """A file of oblique, anisotropic noise, with an empty border, and its channels."""
    rng = np.random.default_rng(len(name))
    channels = len(bundles.CHANNELS[name])
    values = rng.normal(60, 90, (*SHAPE, channels))
    values[:4] = 0
    path = folder / "image.nii.gz"
    nib.save(nib.Nifti1Image(values.squeeze().astype(np.float32), AFFINE), path)
    return path


def by_monai(bundle, image):
    """Labels as MONAI's own parts of the configuration make them, from file to the image's grid."""
    parser = ConfigParser()
    parser.read_config(bundle / "configs" / "inference.json")
    parser["bundle_root"] = str(bundle)
    parser["postprocessing#transforms"] = parser["postprocessing#transforms"][:-1]  # saves no file
    network = parser.get_parsed_content("network_def").eval()
    checkpoint = torch.load(bundle / "models" / "model.pt", weights_only=True)
    network.load_state_dict(checkpoint.get("model", checkpoint))
    case = parser.get_parsed_content("preprocessing")({"image": str(image)})
    with torch.inference_mode():
        case["pred"] = parser.get_parsed_content("inferer")(case["image"][None], network)[0]
    return np.asarray(parser.get_parsed_content("postprocessing")(case)["pred"])[0]


@pytest.mark.filterwarnings("ignore")  # of MONAI about its own readers
@pytest.mark.parametrize("name", ["spleen", "brain", "body"])
def test_labels_are_those_of_monais_own_workflow(name, tmp_path):
    bundle, image = bundles.write_bundle(tmp_path, name), image_of(name, tmp_path)
    card = add_model(bundle, folder=tmp_path / "models").card
    theirs = by_monai(bundle, image)
    ours = eff.segment(eff.load(image, channel="all"), card, device="cpu").labels.data
    assert len(np.unique(theirs)) > 2
    assert np.mean(ours != theirs) < 2e-4  # ties between classes, of which rounding decides
