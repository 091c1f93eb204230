"""Operations and parameters are those of the specifications; a measurement has no empty field."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from napari_effseg import nets
from napari_effseg.errors import Cancelled, EffsegError
from napari_effseg.evaluation import _cost
from napari_effseg.evaluation._cost import count_operations, count_parameters
from napari_effseg.evaluation.comparison import BenchReport, BenchRow, bench, measure
from napari_effseg.evaluation.picture import dice_scores, draw_dice_against_time
from napari_effseg.evaluation.subjects import Subject, paper_subjects, peers_of, round_up
from napari_effseg.zoo.card import Accuracy
from tests.zoo.synthetic import draft_card

pytestmark = pytest.mark.xdist_group("costs")  # which are measured once
SMALL = Subject(
    "small",
    "lightm-unet",
    {"spatial_dims": 3, "init_filters": 8, "blocks_down": (1, 1), "blocks_up": (1,)},
    (1, 1, 8, 8, 8),
)
WIDE = Subject("wide", "unet", {"spatial_dims": 3, "features": (16, 16)}, (1, 1, 48, 48, 48))


@pytest.fixture(scope="module")
def wide() -> BenchRow:
    """What a network of one large convolution costs, with a training step."""
    return measure(WIDE, "cpu", training=True)


@pytest.fixture(scope="module")
def report() -> BenchReport:
    """A small card's network, measured alone."""
    return bench([draft_card()], "cpu")


def test_the_class_defaults_cost_what_the_specification_counts() -> None:
    network = nets.create("lightm-unet").eval()
    counted = count_operations(network, (1, 1, 64, 64, 64))
    assert count_parameters(network) == 381_813
    assert round(counted.products / 1e9, 1) == 3.6
    assert round(counted.scans / 1e9, 1) == 2.9


def test_a_scan_costs_nine_operations_a_state_update() -> None:
    block = nets.Mamba(6, d_state=4, expand=2)
    assert count_operations(block, (2, 10, 6)).scans == 2 * 10 * 12 * (9 * 4 + 2)


def test_three_orientations_cost_three_scans() -> None:
    shape = (1, 10, 6)
    plain = count_operations(nets.Mamba(6), shape).scans
    three = count_operations(nets.Mamba(6, bimamba_type="v3", nslices=5), shape).scans
    assert three == 3 * plain


def test_what_is_slow_is_measured_on_request_alone() -> None:
    names, slow = ({s.name for s in paper_subjects(slow=slow)} for slow in (False, True))
    assert slow - names == {"SAM ViT-B's encoder"}
    assert not any(s.steps for s in paper_subjects() if s.part or s.name.startswith("Swin"))


def test_a_long_run_is_done_once(monkeypatch) -> None:
    runs: list[int] = []
    monkeypatch.setattr(_cost, "_LONG_SECONDS", 0.0)
    (found,) = _cost.timed([_cost.warmed(lambda: runs.append(1))], torch.device("cpu"))
    assert len(runs) == 1
    assert found.seconds == found.fastest_seconds


def test_short_runs_take_turns(monkeypatch) -> None:
    runs: list[str] = []
    monkeypatch.setattr(_cost, "_LEAST_SECONDS", 0.0)
    both = [_cost.warmed(lambda name=name: runs.append(name)) for name in "ab"]
    _cost.timed(both, torch.device("cpu"))
    assert "".join(runs) == "aabb" + "ab" * 3


def test_a_linear_layer_costs_two_operations_a_multiply_add() -> None:
    counted = count_operations(torch.nn.Linear(5, 7), (3, 5))
    assert (counted.products, counted.scans) == (2 * 3 * 5 * 7, 0)


def test_a_measurement_says_everything(wide: BenchRow) -> None:
    row = wide
    assert row.parameters == count_parameters(WIDE.build())
    assert 0 < row.fastest_seconds <= row.seconds
    assert row.training is not None
    assert 0 < row.training.fastest_seconds <= row.training.seconds
    assert row.energy_joules is not None
    assert row.eager_seconds is None or row.eager_seconds > 0
    assert row.training.co2_grams is not None
    json.dumps(dataclasses.asdict(row))


def test_the_memory_of_a_network_is_its_own(wide: BenchRow) -> None:
    """A large convolution holds little beside its input and outputs, and a step of training these and more.

    Other networks are no measure of what it holds: those that are compiled first take as much for that.
    """
    tensors = 4 * 48**3 * (1 + 16 + 2)
    assert wide.peak_memory_bytes < 40 * tensors
    assert wide.training is not None
    assert wide.training.peak_memory_bytes > wide.peak_memory_bytes + tensors


def test_measuring_is_stopped_at_once() -> None:
    with pytest.raises(Cancelled):
        measure(SMALL, "cpu", training=False, cancel=lambda: True)


def test_a_network_that_cannot_be_measured_is_told_from_the_others() -> None:
    wrong = dataclasses.replace(SMALL, name="wrong", input_shape=(1, 1, 7, 8, 8))
    with pytest.raises(EffsegError, match=r"wrong could not be measured: .*7"):
        measure(wrong, "cpu", training=False)


def test_peers_take_the_rounded_window_and_give_its_classes() -> None:
    pytest.importorskip("monai")
    card = draft_card()
    size = round_up(card.window.size)
    assert round_up((40, 33, 17)) == (64, 64, 32)
    for peer in peers_of(card):
        with torch.inference_mode():
            answer = peer.build().eval()(torch.zeros(peer.input_shape))
        assert answer.shape == (1, len(card.labels) + 1, *size)
        assert peer.is_peer


@pytest.mark.parametrize("subject", paper_subjects(slow=True), ids=lambda s: f"{s.name} {s.input_shape[-1]}")
def test_every_network_of_the_papers_can_be_built(subject: Subject) -> None:
    pytest.importorskip("monai")
    assert count_parameters(subject.build()) > 0


def test_networks_whose_modules_are_given_parameters_are_counted() -> None:
    network = nets.create("hrmedseg", dim=24, img_size=64)
    assert count_operations(network, (1, 3, 64, 64)).products > 0
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_plain_network_of_equal_operations_is_compared() -> None:
    volumes = {subject.name: subject for subject in paper_subjects() if subject.input_shape[-1] == 96}
    ours, plain = volumes["LightM-UNet"], volumes["U-Net of equal GFLOPs"]
    counted = [count_operations(s.build(), (1, 1, 48, 48, 48)) for s in (ours, plain)]
    assert counted[1].products == pytest.approx(counted[0].products + counted[0].scans, rel=0.15)


def test_the_picture_shows_cards_with_a_measured_dice(tmp_path, report: BenchReport) -> None:
    pytest.importorskip("matplotlib")
    card = draft_card()
    score = Accuracy("a data set", "test", 3, "dice", "mean", 0.9, 0.01, "effseg evaluate")
    draw_dice_against_time(
        report, dice_scores([dataclasses.replace(card, accuracy=(score,))]), tmp_path / "it.png"
    )
    assert (tmp_path / "it.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(EffsegError, match="nothing to draw"):
        dice_scores([card])
