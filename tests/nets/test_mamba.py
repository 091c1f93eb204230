import pytest
import torch

from napari_effseg import nets

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
