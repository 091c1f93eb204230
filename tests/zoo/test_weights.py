import dataclasses
import json
import pickle

import pytest
import torch

from napari_effseg import CardError, WeightsError, zoo
from napari_effseg.zoo import _places
from napari_effseg.zoo._safetensors import read_tensors

from .synthetic import synthetic_card


@pytest.fixture
def card(tmp_path):
    return synthetic_card(tmp_path / "cards")


def change_weights(card, content):
    """Replace the card's file of weights by `content`, and let the card agree with that."""
    path = zoo.weights_path(card)
    path.write_bytes(content)
    weights = dataclasses.replace(card.weights, sha256=zoo.file_sha256(path), size_bytes=max(len(content), 1))
    return dataclasses.replace(card, weights=weights)


def test_a_network_comes_back_with_its_weights_ready_for_inference(card):
    network = zoo.load_network(card)
    assert not network.training
    assert sum(p.numel() for p in network.parameters()) == card.weights.parameters
    assert network(torch.zeros(1, 1, 8, 8, 8)).shape == (1, 3, 8, 8, 8)


def test_the_same_card_gives_the_same_network(card):
    first, second = (zoo.load_network(card).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(card, tmp_path, dtype):
    exact = zoo.load_network(card).state_dict()
    path = zoo.save_weights(exact, zoo.weights_path(card), dtype=dtype)
    weights = zoo.describe_weights(path, licence="CC0-1.0", parameters=card.weights.parameters)
    assert weights.precision == str(dtype).removeprefix("torch.")
    loaded = zoo.load_network(dataclasses.replace(card, weights=weights)).state_dict()
    assert all(torch.equal(loaded[key], exact[key].to(dtype).float()) for key in exact)


def test_the_same_tensors_give_the_same_bytes(tmp_path):
    state = {"b": torch.ones(3), "a": torch.zeros(2, 2)}
    metadata = {"network": "x", "constructor": {"f": (1, 2)}, "more": 1}
    one = zoo.save_weights(state, tmp_path / "1.safetensors", metadata).read_bytes()
    two = zoo.save_weights(dict(reversed(state.items())), tmp_path / "2.safetensors", metadata).read_bytes()
    assert one == two


def test_metadata_come_back(tmp_path):
    path = zoo.save_weights({"a": torch.ones(1)}, tmp_path / "a.safetensors", {"network": "x", "n": [1]})
    assert zoo.read_metadata(path) == {"network": "x", "n": [1]}


def test_tensors_that_share_memory_or_are_views_are_written(tmp_path):
    base = torch.arange(6.0).reshape(2, 3)
    path = zoo.save_weights({"a": base, "b": base, "c": base.T}, tmp_path / "a.safetensors")
    assert zoo.describe_weights(path, licence="x", parameters=1).precision == "float32"


def test_a_changed_byte_is_found_before_any_tensor_is_used(card, monkeypatch):
    path = zoo.weights_path(card)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr("napari_effseg.zoo.weights.read_tensors", None)
    with pytest.raises(WeightsError, match=r"changed or damaged: its SHA-256 is .* the card says"):
        zoo.load_network(card)


def test_a_truncated_file_is_called_so(card):
    path = zoo.weights_path(card)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightsError, match=r"truncated: .* bytes, expected"):
        zoo.load_network(card)


def test_a_longer_file_is_not_the_one(card):
    path = zoo.weights_path(card)
    path.write_bytes(path.read_bytes() + b"0")
    with pytest.raises(WeightsError, match="not the file that the card names"):
        zoo.load_network(card)


def test_a_truncated_file_that_its_card_agrees_with_is_damaged(card):
    card = change_weights(card, zoo.weights_path(card).read_bytes()[:-4])
    with pytest.raises(WeightsError, match="damaged safetensors"):
        zoo.load_network(card)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"a": 1}, protocol=2), "a pickle"),
        (pickle.dumps({"a": 1}, protocol=4), "a pickle"),
        (b"PK\x03\x04" + bytes(40), "a zip archive"),
        (b"", "truncated"),
        (b"\xff" * 7 + b"\x7f" + b"{" * 100, "not a safetensors file"),
        ((100).to_bytes(8, "little") + b"{}", "truncated"),
        ((17 << 20).to_bytes(8, "little") + b"{}" + bytes(18 << 20), "not a safetensors file"),
        ((20).to_bytes(8, "little") + b"no JSON at all......" + bytes(40), "damaged"),
    ],
    ids=["pickle 2", "pickle 4", "zip", "empty", "giant header", "cut header", "bomb", "no JSON"],
)
def test_a_file_of_another_kind_is_named(card, content, message):
    with pytest.raises(WeightsError, match=message):
        zoo.load_network(change_weights(card, content))


def test_a_tensor_that_claims_more_than_the_file_holds_is_refused(card):
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(16)
    with pytest.raises(WeightsError, match="damaged safetensors"):
        zoo.load_network(change_weights(card, content))


def test_missing_and_unexpected_keys_are_named_and_counted(card):
    state = zoo.load_network(card).state_dict()
    state["extra"] = state.pop("conv_final.0.weight")
    path = zoo.save_weights(state, zoo.weights_path(card))
    card = change_weights(card, path.read_bytes())
    with pytest.raises(WeightsError, match=r"1 missing \(conv_final.0.weight\); 1 unexpected \(extra\)"):
        zoo.load_network(card)


def test_a_wrong_shape_is_named(card):
    state = zoo.load_network(card).state_dict() | {"conv_final.0.weight": torch.ones(9)}
    card = change_weights(card, zoo.save_weights(state, zoo.weights_path(card)).read_bytes())
    with pytest.raises(WeightsError, match=r"conv_final.0.weight has shape \(9,\), expected \(8,\)"):
        zoo.load_network(card)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "lightm-unett"}, "network: no network is called .* Did you mean lightm-unet"),
        ({"constructor": {"init_filters": 12}}, "constructor: init_filters is 12"),
        ({"constructor": {"filters": 12}}, "constructor: .*filters"),
    ],
)
def test_a_network_that_cannot_be_built_is_the_cards_fault(card, changes, message):
    with pytest.raises(CardError, match=message):
        zoo.build_network(dataclasses.replace(card, **changes))


def test_weights_that_are_nowhere_say_where_they_were_sought(card):
    zoo.weights_path(card).unlink()
    url = dataclasses.replace(card.weights, url="https://example.org/x.safetensors")
    with pytest.raises(
        WeightsError, match=r"no file synthetic.safetensors in .*cards.*fetch_weights\(\"synthetic"
    ):
        zoo.weights_path(dataclasses.replace(card, weights=url))


def test_weights_beside_the_card_come_first_and_the_cache_last(card, tmp_path, monkeypatch):
    monkeypatch.setenv("EFFSEG_CACHE", str(tmp_path / "cache"))
    candidates = _places.weights_candidates(card)
    assert candidates[0] == card.path.parent / "synthetic.safetensors"
    assert candidates[-1] == tmp_path / "cache" / "weights" / f"{card.weights.sha256}.safetensors"
    assert any(path.parent.name == "weights_data" for path in candidates)


def test_describing_a_file_of_mixed_precision_is_refused(tmp_path):
    state = {"a": torch.ones(1, dtype=torch.bfloat16), "b": torch.ones(1, dtype=torch.float16)}
    path = zoo.save_weights(state, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="one precision"):
        zoo.describe_weights(path, licence="x", parameters=1)


def test_numbers_too_large_for_half_precision_stay_as_they_are(tmp_path):
    state = {"small": torch.rand(5), "large": torch.tensor([1.0, 1e6]), "endless": torch.tensor([torch.inf])}
    path = zoo.save_weights(state, tmp_path / "a.safetensors", dtype=torch.float16)
    kept = read_tensors(path)
    assert {name: value.dtype for name, value in kept.items()} == {
        "small": torch.float16,
        "large": torch.float32,
        "endless": torch.float16,
    }
    assert torch.equal(kept["large"], state["large"])
    assert zoo.describe_weights(path, licence="x", parameters=8).precision == "float16"
