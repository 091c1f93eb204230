"""What networks see of values: bytes as they are, CT so that soft tissue shows, all else but its ends."""

import numpy as np
import pytest
import torch

from napari_effseg import Volume
from napari_effseg.engine.session.scene import Scene
from napari_effseg.engine.session.tones import Tones
from napari_effseg.training.bytes import as_bytes


def ct():
    """Air, fat, soft tissue and bone."""
    return np.repeat(np.asarray([-1024, -100, 40, 60, 700], np.int16), 400).reshape(10, 20, 10)


def noise(dtype=np.float32):
    return (100 * np.random.default_rng(0).standard_normal((12, 11, 10))).astype(dtype)


def brightness(data, modality=None):
    return Tones.of(data, modality).apply(torch.from_numpy(data.astype(np.float32)))


@pytest.mark.parametrize("data", [ct(), noise(), noise(np.int16)], ids=["ct", "noise", "whole numbers"])
def test_brightness_rises_with_values_from_0_to_1(data):
    order = data.ravel().argsort()
    found = brightness(data).ravel()[torch.from_numpy(order)]
    assert (found.diff() >= 0).all()
    assert found[0] == 0
    assert found[-1] <= 1
    assert found[-1] > 0.9


def test_soft_tissue_shows_in_ct():
    fat, muscle, liver = (float(brightness(ct())[ct() == value][0]) for value in (-100, 40, 60))
    assert liver - muscle == pytest.approx(20 * 0.8 / 400)
    assert 0.1 < fat < muscle < liver < 0.9


@pytest.mark.parametrize(("modality", "shown"), [(None, True), ("CT", True), ("MR", False)])
def test_what_is_known_to_be_no_ct_is_not_taken_for_one(modality, shown):
    values = brightness(ct(), modality)
    apart = float(values[ct() == 60][0] - values[ct() == 40][0])
    assert (apart > 0.03) == shown


def test_ct_without_air_is_taken_as_it_is():
    inside = np.clip(ct(), -100, 100)
    assert brightness(inside, "CT")[inside == -100].max() < 0.01


def test_bytes_are_taken_from_end_to_end():
    data = np.arange(100, 200, dtype=np.uint8).reshape(4, 5, 5)
    assert torch.allclose(brightness(data), torch.from_numpy(data) / 255)
    assert as_bytes(data) is data


def test_a_few_wild_values_darken_nothing():
    data = noise()
    wild = data.copy()
    wild[0, 0, 0] = 1e6
    assert torch.allclose(brightness(wild).clamp_max(1)[1:], brightness(data)[1:], atol=0.02)


def test_what_is_no_number_is_dark_and_infinity_bright():
    data = noise()
    data[0, 0, :3] = np.nan, np.inf, -np.inf
    assert brightness(data)[0, 0, :3].tolist() == [0, 1, 0]


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_an_image_of_one_value_is_no_trouble(value):
    found = brightness(np.full((3, 4, 5), value, np.float32))
    assert torch.isfinite(found).all()
    assert len(found.unique()) == 1


def test_training_sees_what_sessions_show():
    shown = Scene(Volume(ct(), np.eye(4))).slice((2, 4)).pixels[0]
    learned = as_bytes(ct())[..., 4]
    kept = Scene(Volume(learned[..., None], np.eye(4))).slice((2, 0)).pixels[0]
    assert torch.allclose(shown, kept, atol=1 / 255)
