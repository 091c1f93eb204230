"""Several images at each place: b-values, echoes, phases, time points."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import napari_effseg as eff

from ..conftest import oblique
from .synthetic import assert_same_place, image, numbered, slices, write

AFFINE = oblique()


def _series(folder, varied, shuffle=True):
    """A series with a volume for each set of tags; voxels of volume n are those of `numbered` plus 1000 n."""
    datasets = [
        dataset
        for number, tags in enumerate(varied)
        for dataset in slices(numbered() + 1000 * number, AFFINE, **tags)
    ]
    for number, dataset in enumerate(datasets):
        dataset.InstanceNumber = number + 1
    order = np.random.default_rng(0).permutation(len(datasets)) if shuffle else range(len(datasets))
    return write(folder, [datasets[index] for index in order])


@pytest.mark.parametrize(
    ("keyword", "values", "words"),
    [
        ("DiffusionBValue", [0.0, 50.0, 800.0], "b-value 0, 50, 800 s/mm²"),
        ("SequenceName", ["*ep_b0", "*ep_b50t", "*ep_b1000t"], "b-value 0, 50, 1000 s/mm²"),
        ("EchoTime", ["4.6", "9.2", "30"], "echo time 4.6, 9.2, 30 ms"),
        ("InversionTime", ["100", "500", "900"], "inversion time 100, 500, 900 ms"),
        ("TemporalPositionIdentifier", ["1", "2", "3"], "time point 1, 2, 3"),
        ("NominalPercentageOfCardiacPhase", [0.0, 40.0, 75.0], "cardiac phase 0, 40, 75 %"),
        ("KVP", ["80", "100", "140"], "tube voltage 80, 100, 140 kV"),
        ("AcquisitionNumber", [1, 2, 10], "acquisition 1, 2, 10"),
    ],
)
def test_volumes_are_told_apart_by_what_differs_and_chosen(tmp_path, keyword, values, words):
    folder = _series(tmp_path, [{keyword: value} for value in values])
    volume = eff.load(folder)
    assert_same_place(volume, numbered(), AFFINE)
    assert f"3 images at each place ({words}): the first (frame 0, " in volume.warnings[0]
    for number in range(3):
        chosen = eff.load(folder, frame=number)
        assert_same_place(chosen, numbered() + 1000 * number, AFFINE)
        assert chosen.warnings == ()


def test_two_tags_together_tell_volumes_apart(tmp_path):
    parts, echoes = ("M", "P"), ("5", "10")
    tags = [
        {"EchoTime": echo, "ImageType": ["ORIGINAL", "PRIMARY", part]}
        for echo, part in itertools.product(echoes, parts)
    ]
    folder = _series(tmp_path, tags)
    assert "4 images at each place (by echo time and image type)" in eff.load(folder).warnings[0]
    assert "frame 0, echo time 5 ms, image type M" in eff.load(folder).warnings[0]
    assert_same_place(eff.load(folder, frame=3), numbered() + 3000, AFFINE)


def test_b_values_and_directions_tell_volumes_apart(tmp_path):
    directions = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    tags = [{"DiffusionBValue": 0.0}]
    tags += [{"DiffusionBValue": 700.0, "DiffusionGradientOrientation": way} for way in directions]
    folder = _series(tmp_path, tags)
    assert_same_place(eff.load(folder, frame=0), numbered(), AFFINE)
    assert {int(eff.load(folder, frame=frame).data.min()) for frame in range(4)} == {0, 1000, 2000, 3000}


def test_trigger_times_that_differ_from_slice_to_slice_are_ranked(tmp_path):
    datasets = []
    for number in range(3):
        for k, dataset in enumerate(slices(numbered() + 1000 * number, AFFINE)):
            dataset.TriggerTime = str(100 * number + k)
            dataset.InstanceNumber = 1
            datasets.append(dataset)
    folder = write(tmp_path, datasets[::-1])
    assert "in the order of trigger times" in eff.load(folder).warnings[0]
    assert_same_place(eff.load(folder, frame=1), numbered() + 1000, AFFINE)


def test_without_any_mark_the_numbers_of_the_images_decide(tmp_path):
    folder = _series(tmp_path, [{}, {}])
    assert "2 images at each place (in the order of their numbers)" in eff.load(folder).warnings[0]
    assert_same_place(eff.load(folder, frame=1), numbered() + 1000, AFFINE)


def test_an_incomplete_volume_is_named(tmp_path):
    first = slices(numbered(), AFFINE, TemporalPositionIdentifier="1")
    second = slices(numbered() + 1000, AFFINE, TemporalPositionIdentifier="2")
    folder = write(tmp_path, [*first, *second[:4]])
    assert eff.load(folder, frame=0).warnings == ()
    volume = eff.load(folder, frame=1)
    assert volume.shape == (5, 7, 4)
    assert "images at 4 of the 6 places" in volume.warnings[0]


def test_all_volumes_can_be_kept_as_channels(tmp_path):
    folder = _series(tmp_path, [{"DiffusionBValue": value} for value in (0.0, 50.0, 800.0)])
    volume = eff.load(folder, channel="all")
    assert volume.data.shape == (3, 5, 7, 6)
    assert volume.channel_names == ("b-value 0 s/mm²", "b-value 50 s/mm²", "b-value 800 s/mm²")
    assert volume.warnings == ()
    np.testing.assert_array_equal(eff.load(folder, channel=2).data, volume.data[2])


def test_an_incomplete_volume_is_no_channel(tmp_path):
    parts = [
        slices(numbered() + 1000 * time, AFFINE, TemporalPositionIdentifier=str(time + 1))
        for time in range(3)
    ]
    volume = eff.load(write(tmp_path, [*parts[0], *parts[1], *parts[2][:4]]), channel="all")
    assert volume.data.shape == (2, 5, 7, 6)
    assert volume.warnings == ("1 of 3 images at each place lack slices and were left out",)


@pytest.mark.parametrize("frame", [3, 100])
def test_a_frame_that_is_not_there_is_refused_with_those_that_are(tmp_path, frame):
    folder = _series(tmp_path, [{"DiffusionBValue": value} for value in (0.0, 50.0, 800.0)])
    with pytest.raises(
        eff.ImageReadError, match=rf"frame {frame} was asked for; .* 3 \(frame 0 to 2: b-value"
    ):
        eff.load(folder, frame=frame)


def test_the_only_frame_is_frame_0(tmp_path):
    folder = write(tmp_path, slices(numbered(), AFFINE))
    assert eff.load(folder, frame=0).shape == (5, 7, 6)
    with pytest.raises(eff.ImageReadError, match="the series has only one"):
        eff.load(folder, frame=1)


def test_a_film_has_time_points(tmp_path):
    film = numbered((4, 5, 6), np.uint8)  # frames, rows, columns
    folder = write(tmp_path, [image(film, modality="US", FrameTime="33")])
    volume = eff.load(folder)
    assert volume.shape == (6, 5, 1)
    assert "4 images at each place (time point 0, 1, 2, 3)" in volume.warnings[0]
    np.testing.assert_array_equal(eff.load(folder, frame=3).data[:, :, 0], film[3].T)
    assert eff.load(folder, channel="all").data.shape == (4, 6, 5, 1)
