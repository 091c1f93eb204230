"""Every network against its official model: logits, keys, shapes, order and counts."""

import pytest
import torch

from napari_effseg import nets

from .parity import key_list, read, relative_error

LOGITS = [
    ("lightm-unet", "lightm_unet_2d_small", "y", {}, 1e-4),
    ("lightm-unet", "lightm_unet_3d_small", "y", {}, 1e-4),
    ("slim-unetr", "slim_unetr_small", "y", {}, 1e-4),
    ("slim-unetr", "slim_unetr_small_cube", "y", {}, 1e-4),
    ("segresmamba", "segresmamba_small", "y_with_mamba", {}, 5e-4),
    ("segresmamba", "segresmamba_small", "y_released", {"use_mamba": False}, 1e-4),
    ("segresmamba", "segresmamba_small", "y_with_mamba", {"slim": True}, 5e-4),
    ("segresmamba", "segresmamba_small", "y_released", {"use_mamba": False, "slim": True}, 1e-4),
    ("segresmamba", "segresmamba_small_odd", "y_with_mamba", {}, 5e-4),
    ("segresmamba", "segresmamba_small_odd", "y_released", {"use_mamba": False}, 1e-4),
]
KEYS = [
    ("lightm-unet", "lightm_unet_2d_full"),
    ("lightm-unet", "lightm_unet_3d_full"),
    ("slim-unetr", "slim_unetr_brats"),
    ("slim-unetr", "slim_unetr_vessel"),
    ("segresmamba", "segresmamba_brats"),
    ("hrmedseg", "hrmedseg_1024"),
]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("network", "name", "output", "options", "tolerance"), LOGITS)
def test_logits_equal_the_official_ones(network, name, output, options, tolerance, dtype):
    fixture = read(name)
    reduced = {k: v for k, v in (fixture.meta.get("reduced") or {}).items() if k != "note"}
    net = nets.create(network, **fixture.meta["constructor"], **reduced, **options).to(dtype).eval()
    net.load_state_dict(fixture.tensors("state/", dtype), strict=True)
    with torch.inference_mode():
        y = net(fixture.tensors("input/", dtype)["x"])
    stride = fixture.meta["output64_stride"]
    sparse = y[(..., *[slice(None, None, stride)] * (y.ndim - 2))]
    limit = 1e-9 if dtype is torch.float64 else tolerance
    assert relative_error(sparse, fixture.arrays[f"output64/{output}"]) < limit


@pytest.mark.parametrize(("network", "name"), KEYS)
def test_keys_shapes_order_and_count_are_the_official_ones(network, name):
    official = key_list(name)
    with torch.device("meta"):
        net = nets.create(network, **official["constructor"])
    ours = {key: list(value.shape) for key, value in net.state_dict().items()}
    theirs = {key: entry["shape"] for key, entry in official["keys"].items()}
    assert list(ours.items()) == list(theirs.items())
    assert sum(p.numel() for p in net.parameters()) == official["parameters"]
