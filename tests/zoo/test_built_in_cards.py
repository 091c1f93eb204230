"""One battery over every card that travels with the package, and over synthetic ones of every kind."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from napari_effseg import zoo
from napari_effseg.zoo._layouts import infer_constructor
from napari_effseg.zoo._snomed import is_sctid

from .synthetic import synthetic_card

REPOSITORY = Path(__file__).resolve().parents[2]
BUILT_IN = {card.name: card for card in zoo.built_in_cards()}
SYNTHETIC = {
    "synthetic 3D softmax": (3, "softmax"),
    "synthetic 3D sigmoid": (3, "sigmoid"),
    "synthetic 3D regions": (3, "regions"),
    "synthetic 2D softmax": (2, "softmax"),
}
LARGEST_BUILT_IN = 25_000_000  # bytes; larger weights are fetched on request


@pytest.fixture(scope="module", params=[*BUILT_IN, *SYNTHETIC])
def card(request, tmp_path_factory):
    if request.param in BUILT_IN:
        return BUILT_IN[request.param]
    dimensions, activation = SYNTHETIC[request.param]
    return synthetic_card(tmp_path_factory.mktemp("cards"), dimensions=dimensions, activation=activation)


@pytest.fixture(params=BUILT_IN)
def built_in(request):
    return BUILT_IN[request.param]


def test_the_weights_are_there_and_the_ones_that_were_described(card):
    path = zoo.weights_path(card)
    zoo.verify(path, card.weights.sha256, card.weights.size_bytes)
    described = zoo.describe_weights(
        path, licence=card.weights.licence, parameters=card.weights.parameters, url=card.weights.url
    )
    assert described == card.weights


def test_the_network_loads_strictly_and_has_the_stated_number_of_parameters(card):
    network = zoo.load_network(card)
    assert sum(values.numel() for values in network.parameters()) == card.weights.parameters
    assert not network.training


def test_all_weights_are_finite(card):
    for key, values in zoo.load_network(card).state_dict().items():
        assert torch.isfinite(values).all(), key


MAPS = {"click-unet": 10, "solid-unet": 7}
"""Channels of prompts, and of what is known, that networks see beside the image."""


def channels_of(card):
    """Channels that the network sees: those of the image, and maps of prompts where it takes these."""
    return len(card.input.channels) + MAPS.get(card.network, 0)


def test_a_window_gives_finite_logits_for_every_label(card):
    torch.manual_seed(0)
    x = torch.randn(1, channels_of(card), *card.window.size)
    with torch.inference_mode():
        logits = zoo.load_network(card)(x)
    if card.network == "click-unet":  # several masks of one object
        assert logits.shape == (1, 4, *card.window.size)
        assert torch.isfinite(logits).all()
        return
    background = card.output.activation == "softmax"
    channels = len(card.output.regions) or len(card.labels) + background
    assert logits.shape == (1, channels, *card.window.size)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


def test_the_smallest_allowed_side_works(card):
    side = card.window.units
    x = torch.zeros(1, channels_of(card), *side)
    with torch.inference_mode():
        assert zoo.load_network(card)(x).shape[2:] == side


def test_constructor_and_weights_agree_with_each_other(card):
    with safe_open(zoo.weights_path(card), "pt") as file:
        shapes = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - no mapping
    inferred = infer_constructor(card.network, shapes)
    if inferred is None:
        pytest.skip(f"the shapes of {card.network} do not tell its constructor")
    assert inferred.items() <= {**inferred, **card.constructor}.items()


def test_a_card_comes_back_from_its_file(card):
    assert zoo.parse_card(zoo.card_to_toml(card)) == card
    assert zoo.read_card(card.path) == card


def test_codes_are_of_snomed_ct_and_well_formed(card):
    instances = card.postprocess.instances
    for label in card.labels:
        is_border = instances is not None and label.id == instances.border
        if is_border or card.task == "promptable":  # whatever it is that was pointed at
            assert label.code.scheme == "99EFFSEG"
            continue
        assert label.code.scheme == "SCT"
        assert is_sctid(label.code.value)


def test_labels_are_told_apart_by_their_colours(card):
    assert len({label.colour for label in card.labels}) == len(card.labels)


def test_names_follow_structure_and_network(built_in):
    if built_in.task == "promptable":
        assert built_in.name.startswith("prompt-") or built_in.name == built_in.network
    else:
        assert built_in.name.endswith(f"-{built_in.network}")
    assert built_in.path.name == f"{built_in.name}.toml"


def test_data_allow_the_weights_to_be_shipped(built_in):
    assert built_in.training.redistributable
    if "SA" in built_in.training.licence:
        assert "SA" in built_in.weights.licence
    assert not any(term in built_in.weights.licence for term in ("NC", "ND"))
    assert built_in.training.citation


def test_weights_are_small_enough_for_a_wheel(built_in):
    assert built_in.weights.size_bytes < LARGEST_BUILT_IN
    assert built_in.weights.url is None


def test_accuracy_is_measured_on_a_test_split_by_a_command(built_in):
    clicked = built_in.task == "promptable"  # measured on sets that were never trained on
    metric, split = ("dice_clicks_3", "choice") if clicked else ("dice", "test")
    asked = built_in.name
    if clicked and built_in.dimensions == 3:  # it goes on where another one outlined slices
        metric, asked = "dice_volume_corrections_3", "prompt-unet"
    assert any(row.metric == metric and row.label == "mean" for row in built_in.accuracy)
    for row in built_in.accuracy:
        assert row.split == split
        assert row.command.startswith(f"effseg evaluate {asked} ")


def test_limits_time_and_memory_are_stated(built_in):
    assert built_in.limits
    assert built_in.performance


def test_the_training_configuration_is_in_the_repository(built_in):
    assert (REPOSITORY / built_in.training.config).is_file()


def test_weights_say_which_network_they_are_for(built_in):
    metadata = zoo.read_metadata(zoo.weights_path(built_in))
    assert metadata["network"] == built_in.network
    assert metadata["constructor"] == json.loads(json.dumps(built_in.constructor))


def test_every_file_of_weights_in_the_checkout_has_a_card():
    files = {path.name for path in (REPOSITORY / "weights").glob("*.safetensors")}
    assert files == {card.weights.file for card in BUILT_IN.values() if card.weights.url is None}


def test_every_file_of_weights_is_named_with_its_licence(built_in):
    lines = (REPOSITORY / "weights" / "README.md").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if f"`{built_in.weights.file}`" in line]
    assert line.endswith(f"| {built_in.weights.licence} |")


def test_no_two_cards_share_a_name():
    names = [card.name for card in zoo.built_in_cards()]
    assert len(set(names)) == len(names)
