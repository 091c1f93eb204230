"""The whole engine on small volumes and tiny networks: laws first, then each promise of the contract."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import napari_effseg as eff
from napari_effseg import zoo
from napari_effseg.engine import segment, segment_with
from napari_effseg.engine.canvas import Canvas
from napari_effseg.engine.segmenter import plan_segmentation
from napari_effseg.errors import Cancelled, OutOfMemory, VolumeError, WeightsError
from napari_effseg.metrics import dice
from napari_effseg.volume import LabelMap, Volume, crop, reorient, resample, same_grid
from tests.zoo.synthetic import synthetic_card

from .builders import OBLIQUE, SHAPE, Context, Levels, card_for, labelled, noise_volume
from .test_frame import AXCODES

ZSCORE = zoo.IntensityRule("zscore")
REGION = zoo.FieldOfView((0.0, 0.0, 0.0), (40.0, 40.0, 40.0), "region")
PICTURE = np.diag([-1.0, -1.0, 1.0, 1.0])


def ball_volume(shape=(40, 36, 24), affine=OBLIQUE):
    """A ball of 400 HU around the centre in water, and where it is."""
    grid = np.stack(np.indices(shape)).astype(float)
    centre = (np.array(shape) - 1) / 2
    world = np.einsum("ab,bijk->aijk", affine[:3, :3], grid - centre[:, None, None, None])
    inside = (world**2).sum(axis=0) < 11**2
    return Volume(np.where(inside, 400, 0).astype(np.int16), affine), LabelMap(inside, affine)


# Where the result lies


def test_a_result_lies_exactly_on_the_input():
    volume = noise_volume()
    result = segment_with(Context(), volume, card_for())
    assert same_grid(result.labels.grid, volume.grid)
    assert np.array_equal(result.labels.affine, volume.affine)
    assert result.labels.data.dtype == np.uint8
    assert result.doubt.shape == volume.shape
    assert result.doubt.dtype == np.float32


def test_a_result_carries_names_colours_and_codes():
    labels = segment_with(Levels(), noise_volume(), card_for()).labels
    assert labels.names == {1: "left kidney", 2: "liver"}
    assert labels.colours[2] == (0, 114, 178)
    assert labels.codes[1] == eff.Code("SCT", "64033007", "Kidney", "left")


def test_many_labels_get_a_wider_type():
    card = card_for(activation="sigmoid", labels=labelled(*(f"label {n}" for n in range(300))))
    network = nn.Conv3d(1, 300, 1)
    nn.init.zeros_(network.weight)
    nn.init.constant_(network.bias, -1.0)
    network.bias.data[299] = 1.0
    labels = segment_with(network, noise_volume((6, 5, 4)), card).labels
    assert labels.data.dtype == np.uint16
    assert (labels.data == 300).all()


@pytest.mark.parametrize("axcodes", AXCODES)
def test_a_reoriented_volume_gets_the_same_labels(axcodes):
    volume, card = noise_volume((9, 13, 7)), card_for(intensity=ZSCORE)
    wanted = segment_with(Context(), volume, card)
    found = segment_with(Context(), reorient(volume, axcodes), card)
    back = reorient(found.labels, volume.axcodes)
    assert np.array_equal(back.data, wanted.labels.data)
    np.testing.assert_allclose(back.affine, volume.affine, atol=1e-9)


@pytest.mark.parametrize("axcodes", AXCODES[::5])
def test_a_reoriented_volume_gets_the_same_labels_when_it_is_resampled(axcodes):
    volume, card = noise_volume((9, 13, 7)), card_for(intensity=ZSCORE, spacing=(1.3, 0.8, 2.6))
    wanted = segment_with(Context(), volume, card).labels
    found = reorient(segment_with(Context(), reorient(volume, axcodes), card).labels, volume.axcodes)
    assert np.array_equal(found.data, wanted.data)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.5, 2.5), (2.2, 2.2, 2.2)])
def test_a_network_at_another_spacing_finds_the_same_ball(spacing):
    volume, truth = ball_volume()
    found = segment_with(Levels(), volume, card_for(spacing=spacing)).labels
    assert dice(truth.data, found.data == 1) > 0.95


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 1.3, 1.9)])
def test_a_resampled_volume_gets_the_same_ball(spacing):
    volume, truth = ball_volume()
    coarse = resample(volume, eff.volume.grid_with_spacing(volume.grid, spacing))
    found = segment_with(Levels(), coarse, card_for(spacing=(1.1, 1.1, 1.1))).labels
    assert dice(truth.data, resample(found, volume.grid).data == 1) > 0.95


def test_a_mirrored_body_with_its_affine_following_is_the_same_body():
    volume, card = noise_volume(), card_for()
    mirrored = reorient(volume, "LAS")
    assert np.array_equal(
        segment_with(Context(), mirrored, card).labels.data[::-1],
        segment_with(Context(), volume, card).labels.data,
    )


@pytest.mark.parametrize("axcodes", ["ILP", "LAS", "LPS", "PIR", "SRA"])
def test_a_real_ct_gets_the_same_labels_in_every_axis_order(shared_data, axcodes):
    folder = shared_data / "viewer_nifti" / "orientation" / "images"
    card = card_for(spacing=(2.0, 2.0, 2.0))
    wanted = segment_with(Levels(), eff.load(folder / "ct_RAS.nii.gz"), card).labels
    found = segment_with(Levels(), eff.load(folder / f"ct_{axcodes}.nii.gz"), card).labels
    back = reorient(found, wanted.axcodes)
    assert same_grid(back.grid, wanted.grid, tolerance_mm=1e-3)
    assert dice(wanted.data == 1, back.data == 1) > 0.9999


# What the network sees


def test_each_voxel_s_own_value_decides_for_a_network_that_looks_at_nothing_else():
    volume = noise_volume()
    found = segment_with(Levels(), volume, card_for()).labels.data
    assert np.array_equal(found, np.select([volume.data < -200, volume.data > 200], [2, 1], 0))


@pytest.mark.parametrize("shape", [(3, 26, 14), (2, 2, 2), (12, 8, 16), (13, 9, 17)])
def test_windows_hide_nothing_of_a_volume_of_any_size(shape):
    volume = noise_volume(shape)
    found = segment_with(Levels(), volume, card_for()).labels.data
    assert np.array_equal(found == 1, volume.data > 200)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "regions"])
def test_every_activation_gives_labels_of_the_card(activation):
    network = Context(classes=3 if activation == "softmax" else 2)
    result = segment_with(network, noise_volume(), card_for(activation=activation))
    assert set(np.unique(result.labels.data)) <= {0, 1, 2}
    assert 0 <= result.doubt.min() < result.doubt.max() <= 1


def test_doubt_is_highest_where_two_classes_are_equally_likely():
    values = np.linspace(0, 400, 17 * 4 * 4).reshape(17, 4, 4)
    card = card_for(output=zoo.OutputSpec("softmax", doubt_temperature=0.1))
    result = segment_with(Levels(), Volume(values, np.eye(4)), card)
    assert values.ravel()[result.doubt.argmax()] == pytest.approx(200, abs=5)


def test_postprocessing_holds_on_the_input_s_grid():
    card = card_for(spacing=(1.5, 1.5, 1.5), postprocess=zoo.Postprocess(keep_largest=(1, 2)))
    labels = segment_with(Context(), noise_volume(), card).labels
    for label in (1, 2):
        assert eff.engine.postprocess.count_pieces(labels.data, label) == 1


def test_the_same_input_gives_the_same_bits():
    first, second = (segment_with(Context(), noise_volume(), card_for(intensity=ZSCORE)) for _ in range(2))
    assert np.array_equal(first.labels.data, second.labels.data)
    assert np.array_equal(first.doubt, second.doubt)


def test_the_volume_and_the_network_are_left_as_they_were():
    volume, network = noise_volume(), Context().train()
    before = volume.data.copy()
    segment_with(network, volume, card_for())
    assert np.array_equal(volume.data, before)
    assert network.training
    assert all(p.requires_grad for p in network.parameters())


# Slices and pictures


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_slice_model_takes_a_volume_slice_by_slice(plane):
    volume, card = noise_volume(), card_for(2, plane=plane)
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    found = segment_with(Context(2), volume, card).labels.data
    for index in (0, 5, volume.shape[axis] - 1):
        low, high = [0, 0, 0], list(volume.shape)
        low[axis], high[axis] = index, index + 1
        alone = segment_with(Context(2), crop(volume, (tuple(low), tuple(high))), card).labels.data
        assert np.array_equal(alone.squeeze(axis), found.take(index, axis=axis))


def test_a_picture_is_taken_as_it_is():
    picture = noise_volume((21, 17, 1), affine=PICTURE)
    found = segment_with(Context(2), picture, card_for(2, plane=None)).labels.data
    with torch.inference_mode():
        pixels = torch.from_numpy(picture.data[None, None, :, :, 0].astype(np.float32))
        wanted = Context(2)(nn.functional.pad(pixels, (0, 0, 0, 0))).argmax(1)[0]
    assert (found[4:-4, 4:-4, 0] == wanted[4:-4, 4:-4].numpy()).mean() > 0.98


def test_a_colour_picture_goes_to_a_colour_card():
    values = np.random.default_rng(0).integers(0, 255, (3, 21, 17, 1)).astype(np.uint8)
    card = card_for(2, plane=None, channels=("red", "green", "blue"))
    assert segment_with(Context(2, 3), Volume(values, PICTURE), card).labels.shape == (21, 17, 1)


def test_one_slice_for_a_volume_model_is_refused():
    with pytest.raises(VolumeError, match="one slice"):
        segment_with(Context(), noise_volume((20, 20, 1)), card_for())


# Regions


def test_outside_a_region_labels_and_doubt_are_zero():
    result = segment_with(Context(), noise_volume(), card_for(), roi=((3, 5, 2), (15, 20, 11)))
    inside = np.zeros(SHAPE, bool)
    inside[3:15, 5:20, 2:11] = True
    assert not result.labels.data[~inside].any()
    assert not result.doubt[~inside].any()
    assert (result.doubt[inside] > 0).all()


def test_a_region_sees_the_image_around_it():
    volume, box = noise_volume(), ((6, 8, 4), (12, 16, 10))
    whole = segment_with(Context(), volume, card_for()).labels.data
    region = segment_with(Context(), volume, card_for(), roi=box).labels.data
    here = tuple(slice(*ends) for ends in zip(*box, strict=True))
    assert np.array_equal(region[here], whole[here])


def test_several_regions_are_all_labelled():
    boxes = [((0, 0, 0), (6, 6, 6)), ((10, 12, 7), (19, 26, 14))]
    doubt = segment_with(Context(), noise_volume(), card_for(), roi=boxes).doubt
    assert (doubt > 0).sum() == 6**3 + 9 * 14 * 7


def test_where_regions_overlap_the_label_of_lower_doubt_stays():
    volume, card = noise_volume(), card_for(intensity=ZSCORE, field_of_view=REGION)
    boxes = [((0, 0, 0), (12, 18, 14)), ((6, 4, 0), (19, 26, 14))]
    both = segment_with(Levels(), Volume(volume.data * 3, volume.affine), card, roi=boxes)
    alone = [segment_with(Levels(), Volume(volume.data * 3, volume.affine), card, roi=box) for box in boxes]
    here = (slice(6, 12), slice(4, 18))
    lower = np.minimum(alone[0].doubt[here], alone[1].doubt[here])
    assert np.array_equal(both.doubt[here], lower)
    wanted = np.where(
        alone[1].doubt[here] < alone[0].doubt[here], alone[1].labels.data[here], alone[0].labels.data[here]
    )
    assert np.array_equal(both.labels.data[here], wanted)


def test_postprocessing_keeps_one_component_in_each_region():
    values = np.zeros((40, 10, 10), np.int16)
    values[4:9, 3:7, 3:7] = values[30:33, 3:7, 3:7] = 400
    card = card_for(postprocess=zoo.Postprocess(keep_largest=(1,)))
    boxes = [((0, 0, 0), (20, 10, 10)), ((20, 0, 0), (40, 10, 10))]
    labels = segment_with(Levels(), Volume(values, np.eye(4)), card, roi=boxes).labels.data
    assert np.array_equal(labels == 1, values == 400)


@pytest.mark.parametrize(
    ("roi", "said"),
    [
        (((0, 0, 0), (20, 26, 14)), "from 0 to 20 along axis I; expected.*inside 0 to 19"),
        (((0, 5, 0), (9, 5, 9)), "from 5 to 5 along axis J"),
        (((-1, 0, 0), (9, 9, 9)), "from -1 to 9"),
        ([], "is no region"),
        (((0, 0), (5, 5)), "is no region"),
        (((0, 0, 0), (5, 5, 5.5)), "is no region"),
        ([((0, 0, 0), (5, 5, 5)), ((0, 0), (5, 5))], "is no region"),
        ("0,0,0:5,5,5", "is no region"),
    ],
)
def test_a_region_that_is_none_is_refused_in_words(roi, said):
    with pytest.raises(VolumeError, match=said):
        segment_with(Levels(), noise_volume(), card_for(), roi=roi)


def test_an_image_much_larger_than_the_field_of_view_needs_a_region():
    volume, card = noise_volume((60, 60, 40)), card_for(field_of_view=REGION)
    with pytest.raises(VolumeError, match="--roi"):
        segment_with(Levels(), volume, card)
    segment_with(Levels(), volume, card, roi=((5, 5, 5), (25, 25, 20)))


# Trouble


def test_voxels_that_are_not_finite_are_handled_and_said():
    values = noise_volume().data.astype(np.float32)
    values[3, 4, 5] = np.nan
    result = segment_with(Context(), Volume(values, OBLIQUE), card_for(intensity=ZSCORE))
    assert np.isfinite(result.doubt).all()
    assert any("NaN or infinite" in sentence for sentence in result.report.warnings)


@pytest.mark.parametrize("value", [0, -5.5, 1e9])
def test_a_constant_image_is_all_background_and_it_is_said(value):
    result = segment_with(Levels(), Volume(np.full(SHAPE, value, np.float32), OBLIQUE), card_for())
    assert not result.labels.data.any()
    assert not result.doubt.any()
    assert any("nothing to segment" in sentence for sentence in result.report.warnings)


def test_warnings_of_the_reader_stay_in_the_report():
    volume = noise_volume(warnings=("the file has no form codes",))
    assert "the file has no form codes" in segment_with(Levels(), volume, card_for()).report.warnings


def test_the_wrong_modality_is_said():
    volume = noise_volume(modality="MR")
    assert "made for CT" in segment_with(Levels(), volume, card_for()).report.warnings[0]


def test_a_network_that_does_not_fit_its_card_is_refused():
    with pytest.raises(WeightsError, match="gives 4 channels"):
        segment_with(Context(classes=4), noise_volume(), card_for())


class Hungry(nn.Module):
    """Run out of memory on windows with more voxels than it can take."""

    def __init__(self, most, error):
        super().__init__()
        self.most, self.error, self.seen = most, error, []

    def forward(self, x):
        if x[:, 0].numel() > self.most:
            raise self.error
        return Levels()(x)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["numpy", "torch", "allocator"],
)
def test_when_memory_runs_out_smaller_windows_are_used_and_it_is_said(error):
    volume, said = noise_volume((40, 40, 40)), []
    network = Hungry(8 * 4 * 8, error)
    result = segment_with(network, volume, card_for(), progress=lambda fraction, text: said.append(text))
    assert np.array_equal(result.labels.data, segment_with(Levels(), volume, card_for()).labels.data)
    assert any("memory ran out" in text for text in said)
    assert any("trying windows of 8 x 4 x 8" in sentence for sentence in result.report.warnings)


def test_when_memory_never_suffices_it_is_an_error():
    with pytest.raises(OutOfMemory):
        segment_with(Hungry(1, MemoryError()), noise_volume(), card_for())


def test_no_memory_for_the_result_is_out_of_memory_too(monkeypatch):
    def fail(*arguments):
        raise MemoryError("Unable to allocate 5.2 GiB for an array")

    monkeypatch.setattr(Canvas, "blank", fail)
    with pytest.raises(OutOfMemory):
        segment_with(Levels(), noise_volume(), card_for())


class NoNumber(nn.Module):
    def forward(self, x):
        return Levels()(x).masked_fill(x > 900, torch.nan)


def test_where_the_network_gives_no_number_doubt_is_one_and_it_is_said():
    volume = noise_volume()
    result = segment_with(NoNumber(), volume, card_for())
    lost = volume.data > 900
    assert (result.doubt[lost] == 1).all()
    assert any(f"no number at {lost.sum()} voxels" in sentence for sentence in result.report.warnings)


def test_two_threads_at_once_do_not_disturb_each_other(tmp_path):
    card = synthetic_card(tmp_path)
    volumes = [noise_volume((24, 16, 32), seed) for seed in range(2)]
    wanted = [segment(volume, card, device="cpu").labels.data for volume in volumes]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda volume: segment(volume, card, device="cpu").labels.data, volumes * 2))
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted * 2, strict=True))


# Progress and cancel


def test_progress_rises_from_the_plan_to_one():
    seen = []
    segment_with(Levels(), noise_volume(), card_for(), progress=lambda *step: seen.append(step))
    fractions = [fraction for fraction, _ in seen]
    assert seen[0][1].startswith("synthetic: ")
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert any("window " in text for _, text in seen)


def test_cancel_stops_before_the_first_window():
    class Never(nn.Module):
        def forward(self, x):
            raise AssertionError("the network ran")

    with pytest.raises(Cancelled):
        segment_with(Never(), noise_volume(), card_for(), cancel=lambda: True)


@pytest.mark.parametrize("after", [1, 3, 7, 15])
def test_cancel_stops_at_the_next_question(after):
    asked = []

    def cancel():
        asked.append(True)
        return len(asked) > after

    with pytest.raises(Cancelled):
        segment_with(Levels(), noise_volume((40, 40, 40)), card_for(), cancel=cancel)
    assert len(asked) == after + 1


# Report, plan, cards with weights


def test_the_report_says_what_was_done():
    report = segment_with(Context(), noise_volume(), card_for()).report
    assert (report.model, report.device, report.precision) == ("synthetic", "cpu", "float32")
    assert report.seconds > 0
    assert report.peak_memory_bytes > 10**7
    assert report.windows == 3 * 6 * 1
    assert report.versions["torch"] == torch.__version__
    assert report.to_json()["plan"] == report.plan
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.model = "other"


def test_a_card_with_weights_is_run_by_name_path_and_card(tmp_path, monkeypatch):
    card = synthetic_card(tmp_path, name="test-lightm-unet")
    monkeypatch.setenv("EFFSEG_CARDS", str(tmp_path))
    volume = noise_volume((24, 16, 32))
    results = [segment(volume, model, device="cpu") for model in (card, card.path, "test-lightm-unet")]
    assert all(np.array_equal(results[0].labels.data, result.labels.data) for result in results)
    assert results[0].report.weights_sha256 == card.weights.sha256


def test_the_plan_of_a_run_is_the_one_it_reports(tmp_path):
    card, volume = synthetic_card(tmp_path), noise_volume((24, 16, 32))
    plan = plan_segmentation(volume, card, device="cpu")
    report = segment(volume, card, device="cpu").report
    assert plan.windows == report.windows == 1
    assert plan.describe().split(", about")[0] == report.plan.split(", about")[0]
