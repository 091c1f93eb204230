"""Sessions are opened with a card, saved and resumed."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch

import napari_effseg as eff
from napari_effseg.engine.networks import cached_network
from napari_effseg.nets import create
from napari_effseg.training.release import finished_card
from napari_effseg.zoo.card_file import read_card

from ..engine.builders import card_for

CONSTRUCTORS = {
    "click-unet": {"features": (4, 8)},
    "hrmedsegsam": {
        "dim": 24,
        "img_size": 32,
        "embed_dim": 16,
        "decoder_heads": 2,
        "decoder_mlp_dim": 8,
        "mask_in_chans": 4,
    },
}


def promptable(folder, network="click-unet", name="prompt-unet", dice=0.7):
    """A card with random weights."""
    torch.manual_seed(0)
    constructor = CONSTRUCTORS[network]
    draft = dataclasses.replace(
        card_for(name=name, dimensions=2),
        task="promptable",
        network=network,
        constructor=constructor,
        accuracy=(
            eff.zoo.Accuracy("a set", "test", 3, "dice_clicks_3", "mean", dice, 0.1, "effseg evaluate"),
        ),
    )
    net = create(network, **constructor)
    path = folder / f"{name}.toml"
    finished_card(draft, net, net.state_dict(), "CC0-1.0", path)
    return path


def volume():
    data = np.random.default_rng(0).random((24, 20, 6)).astype(np.float32)
    return eff.Volume(data, np.diag([1.0, 1.0, 2.0, 1.0]))


def clicked(session):
    session.add(eff.Point((10, 10, 2)))
    session.add(eff.Box((4, 4, 3), (12, 12, 4)))
    session.paint(((0, 0, 0), (2, 2, 1)), np.ones((2, 2, 1), bool))
    session.commit(name="one")
    session.add(eff.Point((12, 8, 2), positive=True))
    return session


@pytest.mark.parametrize("network", CONSTRUCTORS)
def test_a_session_is_saved_and_resumed(tmp_path, network):
    card = promptable(tmp_path, network)
    with eff.open_session(volume(), card, device="cpu") as session:
        clicked(session).save(tmp_path / "case.effseg")
        mask, labels = session.mask.copy(), session.labels
    with eff.resume(tmp_path / "case.effseg", volume(), device="cpu") as again:
        assert (again.mask == mask).all()
        assert (again.labels.data == labels.data).all()
        assert again.labels.names == {1: "one"}
        assert again.undo() == "point"


def test_auto_is_the_best_model_that_answers_clicks(tmp_path, monkeypatch):
    monkeypatch.setenv("EFFSEG_CARDS", str(tmp_path))
    promptable(tmp_path, name="prompt-worse", dice=0.5)
    promptable(tmp_path, name="prompt-better", dice=0.99)
    with eff.open_session(volume(), device="cpu") as session:
        session.paint(((0, 0, 0), (1, 1, 1)), np.ones((1, 1, 1), bool))
        session.save(tmp_path / "case.effseg")
    from napari_effseg.io.effseg import read_session

    assert read_session(tmp_path / "case.effseg").model == "prompt-better"


def test_a_model_that_segments_by_itself_is_refused():
    with pytest.raises(eff.CardError, match="answers no clicks"):
        eff.open_session(volume(), "hippocampus-lightm-unet")


def test_the_session_of_another_image_is_refused(tmp_path):
    with eff.open_session(volume(), promptable(tmp_path), device="cpu") as session:
        clicked(session).save(tmp_path / "case.effseg")
    other = eff.Volume(volume().data + 1, volume().affine)
    with pytest.raises(eff.PromptError, match="another image"):
        eff.resume(tmp_path / "case.effseg", other)


def test_changed_weights_are_refused(tmp_path):
    card = promptable(tmp_path)
    weights = card.with_name(read_card(card).weights.file)
    shutil.copyfile(weights, tmp_path / "kept")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    cached_network.clear()
    with pytest.raises(eff.WeightsError):
        eff.open_session(volume(), card, device="cpu")
