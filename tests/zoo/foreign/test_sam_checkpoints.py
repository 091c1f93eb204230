"""Official checkpoints of SAM's layout become models that answer clicks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import napari_effseg as eff
from napari_effseg import nets
from napari_effseg.errors import CardError, WeightsError
from napari_effseg.zoo.foreign.add import add_model
from napari_effseg.zoo.foreign.draft import AddOptions

SMALL_SAM = {"img_size": 128, "encoder_dim": 32, "encoder_depth": 8, "encoder_heads": 2}
SMALL_OTHER = {"dim": 24, "img_size": 64, "decoder": "sam"}


@pytest.fixture(autouse=True)
def _own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFFSEG_MODELS", str(tmp_path / "models"))


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def save(network: str, **arguments: object) -> Path:
        torch.manual_seed(0)
        path = tmp_path / f"{network}_small.pth"
        torch.save(nets.create(network, **arguments).state_dict(), path)
        return path

    return save


@pytest.mark.parametrize(("network", "arguments"), [("sam", SMALL_SAM), ("hrmedsegsam", SMALL_OTHER)])
def test_a_checkpoint_serves_a_session(
    saved: Callable[..., Path], network: str, arguments: dict[str, object]
) -> None:
    path = saved(network, **arguments)
    card = add_model(path, AddOptions(name="small", licence="Apache-2.0", modality=("MR",))).card
    assert (card.network, card.task, card.weights.licence) == (network, "promptable", "Apache-2.0")
    assert {name: card.constructor[name] for name in arguments} == arguments
    image = np.random.default_rng(0).normal(size=(60, 50, 1)).astype(np.float32)
    with eff.open_session(eff.Volume(image, np.eye(4)), "small", "cpu") as session:
        session.add(eff.Point((30, 20)))
        session.add(eff.Box((10, 10, 0), (40, 40, 1)))
        assert session.mask.shape == image.shape
        assert session.mask[30, 20, 0]


@pytest.mark.parametrize("encoder", ["vit-b", "tiny-vit"])
def test_public_sizes_are_known_by_their_shapes(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_effseg.zoo.foreign import sam_checkpoint

    with torch.device("meta"):
        state = nets.create("sam", encoder=encoder).state_dict()
    monkeypatch.setattr(sam_checkpoint, "read_state_dict", lambda path: state)
    card = sam_checkpoint.read_sam(Path("medsam_vit_b.pth"), AddOptions()).card
    assert card.constructor == {"encoder": encoder}
    assert card.window.size == (1024, 1024)
    assert card.name == "medsam-vit-b"


def test_what_is_no_such_checkpoint_is_named(saved: Callable[..., Path], tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, other)
    with pytest.raises(CardError, match="prompt_encoder"):
        add_model(other)
    changed = torch.load(saved("sam", **SMALL_SAM), weights_only=True)
    changed["image_encoder.adapter.weight"] = torch.zeros(3)
    torch.save(changed, other)
    with pytest.raises(WeightsError, match="adapters"):
        add_model(other)
    with pytest.raises(WeightsError, match="its SHA-256 is"):
        add_model(other, sha256="0" * 64)
    assert not list((tmp_path / "models").glob("*"))
