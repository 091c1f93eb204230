import pytest
import torch

from napari_effseg import nets
from napari_effseg.nets import Mamba, mamba

from .parity import read, relative_error

CASES = ["case00", "case01", "case02", "case03"]


def _block(fixture, case, dtype):
    entry = next(found for found in fixture.meta["cases"] if found["case"] == case)
    block = nets.Mamba(**entry["constructor"]).to(dtype)
    block.load_state_dict(fixture.tensors(f"{case}/state/", dtype), strict=True)
    return block.eval()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_block_equals_the_official_one(case, dtype, tolerance):
    fixture = read("mamba_block")
    x = fixture.tensors(f"{case}/input/", dtype)["x"]
    y = _block(fixture, case, dtype)(x)
    assert relative_error(y, fixture.arrays[f"{case}/output64/y"]) < tolerance


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_gradients_equal_the_official_ones(case, dtype, tolerance):
    fixture = read("mamba_block")
    block = _block(fixture, case, dtype)
    inputs = fixture.tensors(f"{case}/input/", dtype)
    x = inputs["x"].requires_grad_()
    (block(x) * inputs["grad_y"]).sum().backward()
    found = {"x": x.grad, **{name: p.grad for name, p in block.named_parameters()}}
    prefix = f"{case}/grad64/"
    truths = {k[len(prefix) :]: v for k, v in fixture.arrays.items() if k.startswith(prefix)}
    assert {"x"} < set(truths)
    for name, truth in truths.items():
        assert relative_error(found[name.removeprefix("state/")], truth) < tolerance, name


@pytest.mark.parametrize(("kind", "count"), [("none", 19_680), ("v3", 31_392)])
def test_parameter_count_is_the_published_one(kind, count):
    block = nets.Mamba(48, bimamba_type=kind)
    assert sum(p.numel() for p in block.parameters()) == count


def test_output_depends_on_the_past_only():
    torch.manual_seed(0)
    block = nets.Mamba(8).double()
    x = torch.randn(1, 12, 8, dtype=torch.float64)
    changed = x.clone()
    changed[:, 7:] += 1
    before, after = block(x), block(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_uneven_slices_are_refused_in_words():
    with pytest.raises(ValueError, match="22 tokens cannot be cut into 5 equal slices"):
        nets.Mamba(8, bimamba_type="v3", nslices=5)(torch.zeros(1, 22, 8))


def test_first_steps_lie_in_the_papers_range():
    steps = torch.nn.functional.softplus(nets.Mamba(64).dt_proj.bias)
    assert steps.min() >= 0.99e-3
    assert steps.max() <= 1.01e-1


@pytest.mark.parametrize("d_model", [8, 24])
@pytest.mark.parametrize("length", [1025, 3000])
def test_a_sequence_in_pieces_gives_the_same(monkeypatch, d_model, length):
    monkeypatch.setenv("EFFSEG_SCAN", "numba")
    monkeypatch.setattr(mamba, "_PIECE_NUMBERS", 1)
    torch.manual_seed(0)
    block, tokens = Mamba(d_model), torch.randn(2, length, d_model)
    with torch.inference_mode():
        pieces = block.pieces(tokens)
        assert pieces.length == 1024
        found = torch.cat([pieces(piece) for piece in tokens.split(pieces.length, 1)], 1)
        torch.testing.assert_close(found, block(tokens), rtol=1e-5, atol=1e-6)


def test_there_are_no_pieces_where_gradients_are_wanted_or_other_paths_run(monkeypatch):
    monkeypatch.setattr(mamba, "_PIECE_NUMBERS", 1)
    block, tokens = Mamba(8), torch.randn(1, 2000, 8)
    monkeypatch.setenv("EFFSEG_SCAN", "numba")
    assert block.pieces(tokens) is None
    with torch.inference_mode():
        assert block.pieces(tokens) is not None
        assert block.pieces(tokens[:, :1024]) is None
        assert Mamba(8, bimamba_type="v3").pieces(tokens) is None
        monkeypatch.setenv("EFFSEG_SCAN", "chunked")
        assert block.pieces(tokens) is None


def test_a_network_in_pieces_gives_the_same(monkeypatch):
    monkeypatch.setenv("EFFSEG_SCAN", "numba")
    torch.manual_seed(0)
    net = nets.create("lightm-unet", init_filters=8, blocks_down=(1, 1), blocks_up=(1,)).eval()
    image = torch.randn(2, 1, 16, 16, 12)
    with torch.inference_mode():
        whole = net(image)
        monkeypatch.setattr(mamba, "_PIECE_NUMBERS", 1)
        torch.testing.assert_close(net(image), whole, rtol=1e-4, atol=1e-5)
