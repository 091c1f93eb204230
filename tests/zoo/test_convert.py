import contextlib
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from napari_effseg import CardError, UnknownModel, WeightsError, nets, zoo
from napari_effseg.zoo._checkpoint import read_state_dict
from napari_effseg.zoo._layouts import infer_constructor

from ..nets.parity import key_list
from .synthetic import synthetic_card

SMALL = {
    "spatial_dims": 2,
    "init_filters": 8,
    "in_channels": 3,
    "out_channels": 2,
    "blocks_down": [1, 2],
    "blocks_up": [1],
}


@pytest.fixture
def state():
    torch.manual_seed(0)
    return nets.create("lightm-unet", **SMALL).state_dict()


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out" / "net.safetensors"


@pytest.fixture(autouse=True)
def _folder(out):
    out.parent.mkdir()


def save(content, tmp_path, name="net.pth", **options):
    torch.save(content, tmp_path / name, **options)
    return tmp_path / name


def same(path, state):
    loaded = load_file(path)
    return list(loaded) == sorted(state) and all(torch.equal(loaded[key], state[key]) for key in state)


def nnunet(state):
    """What an nnU-Net trainer saves: weights beside a log of numpy scalars."""
    return {
        "network_weights": {f"module.{key}": value for key, value in state.items()},
        "optimizer_state": {"param_groups": [{"lr": 1e-4, "params": [0, 1]}]},
        "logging": {"mean_fg_dice": [np.float32(0.5), np.float64(0.6)], "epoch": np.int64(3)},
        "_best_ema": np.float64(0.61),
        "trainer_name": "nnUNetTrainerLightMUNet",
        "inference_allowed_mirroring_axes": (0, 1),
    }


WRAPPERS = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state},
    "nnU-Net": nnunet,
    "compiled in parallel": lambda state: {f"module._orig_mod.{key}": value for key, value in state.items()},
    "nested": lambda state: {"model": {"state_dict": state}},
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_every_wrapping_gives_the_bare_weights(wrapper, state, tmp_path, out):
    done = zoo.convert_checkpoint(save(WRAPPERS[wrapper](state), tmp_path), "lightm-unet", out)
    assert same(out, state)
    assert done.sha256 == zoo.file_sha256(out)
    assert done.tensors == len(state)


def test_files_of_older_torch_are_read(state, tmp_path, out):
    old = save(state, tmp_path, _use_new_zipfile_serialization=False)
    zoo.convert_checkpoint(old, "lightm-unet", out)
    assert same(out, state)


def test_a_safetensors_checkpoint_is_read(state, tmp_path, out):
    zoo.save_weights(state, tmp_path / "net.safetensors")
    zoo.convert_checkpoint(tmp_path / "net.safetensors", "lightm-unet", out)
    assert same(out, state)


@pytest.mark.parametrize(
    "constructor",
    [
        SMALL,
        {**SMALL, "spatial_dims": 3, "in_channels": 1, "out_channels": 5},
        {**SMALL, "init_filters": 16, "blocks_down": [1, 2, 3], "blocks_up": [2, 1]},
        {**SMALL, "blocks_down": [2], "blocks_up": []},
    ],
)
def test_the_constructor_is_read_from_the_shapes(constructor, tmp_path, out):
    state = nets.create("lightm-unet", **constructor).state_dict()
    done = zoo.convert_checkpoint(save(state, tmp_path), "lightm-unet", out)
    expected = {key: tuple(value) if isinstance(value, list) else value for key, value in constructor.items()}
    assert done.constructor == expected
    assert zoo.read_metadata(out) == {"network": "lightm-unet", "constructor": constructor}


@pytest.mark.parametrize("form", ["json", "wrapped json", "toml"])
def test_the_constructor_is_read_from_a_config(form, state, tmp_path, out):
    config = tmp_path / f"config.{form.split()[-1]}"
    text = {
        "json": json.dumps(SMALL),
        "wrapped json": json.dumps({"network": "LightMUNet", "constructor": SMALL}),
        "toml": "\n".join(f"{key} = {value}" for key, value in SMALL.items()),
    }
    config.write_text(text[form], encoding="utf-8")
    done = zoo.convert_checkpoint(save(state, tmp_path), "lightm-unet", out, config=config)
    assert done.constructor["blocks_down"] == (1, 2)


def test_a_card_says_network_and_constructor(tmp_path, out):
    card = synthetic_card(tmp_path)
    state = zoo.load_network(card).state_dict()
    done = zoo.convert_checkpoint(save(state, tmp_path), card.path, out)
    assert (done.network, done.constructor) == (card.network, card.constructor)


class Exploit:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("form", ["zip", "old torch", "plain pickle", "newer pickle", "nested"])
def test_a_malicious_checkpoint_is_refused_and_never_run(form, state, tmp_path, out):
    trap, path = tmp_path / "owned", tmp_path / "net.pth"
    content = {"state_dict": state, "hook": Exploit(trap)}
    if form == "zip":
        torch.save(content, path)
    elif form == "old torch":
        torch.save(content, path, _use_new_zipfile_serialization=False)
    elif form == "nested":
        torch.save({"network_weights": {"a": [Exploit(trap)]}}, path)
    else:
        path.write_bytes(pickle.dumps(Exploit(trap), protocol=2 if form == "plain pickle" else 5))
    with pytest.raises(WeightsError, match="refused, because loading it could run code"):
        zoo.convert_checkpoint(path, "lightm-unet", out)
    assert not trap.exists()
    assert list(out.parent.iterdir()) == []


def test_the_exploit_would_have_worked(tmp_path):
    pickle.loads(pickle.dumps(Exploit(tmp_path / "owned")))
    assert (tmp_path / "owned").exists()


def test_what_a_pickle_asks_for_is_named(tmp_path, out):
    path = save({"a": np.ones(3)}, tmp_path)
    with pytest.raises(
        WeightsError, match=r"it asks for numpy\S*_reconstruct; expected tensors, numpy scalars"
    ):
        zoo.convert_checkpoint(path, "lightm-unet", out)


def test_missing_and_unexpected_keys_are_named(state, tmp_path, out):
    state["other"] = state.pop("conv_final.0.bias")
    with pytest.raises(WeightsError, match=r"1 missing \(conv_final.0.bias\); 1 unexpected \(other\)"):
        zoo.convert_checkpoint(save(state, tmp_path), "lightm-unet", out)
    assert not out.exists()


def test_many_keys_are_counted_and_the_first_named(state, tmp_path, out):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**SMALL, "blocks_down": [1, 9]}), encoding="utf-8")
    with pytest.raises(WeightsError, match=r"does not fit the network: \d{3} missing \(.*, \.\.\.\)"):
        zoo.convert_checkpoint(save(state, tmp_path), "lightm-unet", out, config=config)


def test_the_withdrawn_layout_is_refused_by_name(tmp_path, out):
    old = save({"convInit.conv.weight": torch.ones(8, 1, 3, 3)}, tmp_path)
    with pytest.raises(WeightsError, match=r"first upload \(17 March 2024"):
        zoo.convert_checkpoint(old, "lightm-unet", out)


def test_keys_that_tell_nothing_ask_for_a_config(tmp_path, out):
    path = save({"encoder.weight": torch.ones(2)}, tmp_path)
    with pytest.raises(WeightsError, match=r"1 keys \(such as encoder.weight\) do not tell .* --config"):
        zoo.convert_checkpoint(path, "lightm-unet", out)


def test_a_few_bytes_cannot_claim_a_giant_tensor(tmp_path, out):
    path = save({"convInit.1.conv.weight": torch.ones(1).expand(10**12)}, tmp_path)
    with pytest.raises(WeightsError, match="more than the file holds"):
        zoo.convert_checkpoint(path, "lightm-unet", out)


def test_a_few_keys_cannot_claim_a_giant_network(state, tmp_path, out):
    deep = {f"down_layers.{level}.1.norm1.weight": torch.ones(1) for level in range(200)}
    with pytest.raises((WeightsError, CardError)):
        zoo.convert_checkpoint(save({**state, **deep}, tmp_path), "lightm-unet", out)


def test_a_compressed_archive_is_refused(state, tmp_path, out):
    plain = save(state, tmp_path)
    packed = tmp_path / "packed.pth"
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(WeightsError, match="compressed archive"):
        zoo.convert_checkpoint(packed, "lightm-unet", out)


def test_a_program_is_refused(tmp_path, out):
    path = tmp_path / "script.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("script/data.pkl", b"")
        archive.writestr("script/code/__torch__.py", b"")
    with pytest.raises(WeightsError, match="TorchScript"):
        zoo.convert_checkpoint(path, "lightm-unet", out)


@pytest.mark.parametrize("content", [b"", b"plain text, and more of it", b"PK\x03\x04 cut", b"\x80\x02 cut"])
def test_a_file_that_is_no_checkpoint_is_named(content, tmp_path, out):
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"net\.pth: "):
        zoo.convert_checkpoint(path, "lightm-unet", out)


def test_a_truncated_checkpoint_is_damaged(state, tmp_path, out):
    path = save(state, tmp_path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(WeightsError, match="damaged"):
        zoo.convert_checkpoint(path, "lightm-unet", out)


def test_a_missing_checkpoint_is_named(tmp_path, out):
    with pytest.raises(WeightsError, match=r"none\.pth: cannot be read"):
        zoo.convert_checkpoint(tmp_path / "none.pth", "lightm-unet", out)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], {"state_dict": {"a": 1}}])
def test_a_checkpoint_without_weights_is_named(content, tmp_path, out):
    with pytest.raises(WeightsError, match="no state dict found"):
        zoo.convert_checkpoint(save(content, tmp_path), "lightm-unet", out)


@pytest.mark.parametrize("odd", [torch.ones(3).to_sparse(), torch.ones(3, device="meta"), torch.ones(3) * 1j])
def test_a_tensor_that_is_no_plain_array_is_named(odd, tmp_path, out):
    with pytest.raises(WeightsError, match=r"odd is not a plain array of real numbers"):
        zoo.convert_checkpoint(save({"odd": odd}, tmp_path), "lightm-unet", out)


@pytest.mark.parametrize("form", ["zip", "old torch", "safetensors"])
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_byte_anywhere_is_read_or_told(form, data, tmp_path):
    path = tmp_path / "net.pth"
    state = {"a.weight": torch.ones(2, 3), "b": torch.zeros(2)}
    if form == "safetensors":
        zoo.save_weights(state, path)
    else:
        torch.save({"network_weights": state}, path, _use_new_zipfile_serialization=form == "zip")
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(WeightsError):
        read_state_dict(path)


def test_an_unknown_network_gets_the_nearest(state, tmp_path, out):
    with pytest.raises(UnknownModel, match="Did you mean lightm-unet"):
        zoo.convert_checkpoint(save(state, tmp_path), "lightmunet", out)


@pytest.mark.parametrize(
    ("name", "text"), [("c.json", "{"), ("c.toml", "= 3"), ("c.json", "[1]"), ("c.json", '{"a": null}')]
)
def test_a_broken_config_is_named(name, text, state, tmp_path, out):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(CardError, match=name):
        zoo.convert_checkpoint(save(state, tmp_path), "lightm-unet", out, config=tmp_path / name)


def test_a_constructor_that_the_network_refuses_is_named(state, tmp_path, out):
    (tmp_path / "c.json").write_text('{"init_filters": 12}', encoding="utf-8")
    with pytest.raises(CardError, match="init_filters is 12"):
        zoo.convert_checkpoint(save(state, tmp_path), "lightm-unet", out, config=tmp_path / "c.json")


def test_the_output_must_be_named_safetensors(state, tmp_path):
    with pytest.raises(WeightsError, match=r"ends in \.safetensors"):
        zoo.convert_checkpoint(save(state, tmp_path), "lightm-unet", tmp_path / "out.pth")


def test_an_older_output_survives_a_failure(tmp_path, out):
    out.write_bytes(b"older")
    with pytest.raises(WeightsError):
        zoo.convert_checkpoint(save({}, tmp_path), "lightm-unet", out)
    assert out.read_bytes() == b"older"


@pytest.mark.parametrize("name", ["lightm_unet_2d_full", "lightm_unet_3d_full"])
def test_the_constructor_of_official_checkpoints_is_read_from_their_shapes(name):
    official = key_list(name)
    shapes = {key: tuple(entry["shape"]) for key, entry in official["keys"].items()}
    inferred = infer_constructor("lightm-unet", shapes)
    assert json.loads(json.dumps(inferred)) == official["constructor"]
