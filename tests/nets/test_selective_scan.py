"""Laws of the selective scan, on every path, and its parity with the published values."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from napari_effseg.nets import selective_scan
from napari_effseg.nets.selective_scan import scan_path, scan_report

from . import parity

PATHS = ("reference", "chunked", "numba")
FAST_PATHS = PATHS[1:]
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-12}

Arguments = dict[str, Tensor]


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every path in turn, forced."""
    monkeypatch.setenv("EFFSEG_SCAN", request.param)
    return str(request.param)


def make_arguments(
    batch: int = 2,
    channels: int = 6,
    length: int = 37,
    states: int = 5,
    groups: int = 0,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> Arguments:
    """Draw a problem with every optional tensor."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype)

    mixing = (batch, groups, states, length) if groups else (batch, states, length)
    return {
        "u": draw(batch, channels, length),
        "delta": 0.5 * draw(batch, channels, length),
        "A": -torch.exp(draw(channels, states)),
        "B": draw(*mixing),
        "C": draw(*mixing),
        "D": draw(channels),
        "z": draw(batch, channels, length),
        "delta_bias": draw(channels) - 1,
    }


def gradients(arguments: Arguments, softplus: bool = True) -> Arguments:
    """Gradients of a fixed random weighting of the scan's output."""
    leaves = {name: x.detach().clone().requires_grad_() for name, x in arguments.items()}
    y = selective_scan(**leaves, delta_softplus=softplus)
    weight = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (y * weight.to(y.dtype)).sum().backward()
    return {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}


def assert_near(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    """Differences are relative to the largest magnitude expected."""
    scale = expected.abs().max().item() or 1.0
    error = (actual.double() - expected.double()).abs().max().item() / scale
    assert error <= tolerance, f"relative error {error:.2e}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_the_published_ones(path: str, dtype: torch.dtype) -> None:
    fixture = parity.read("selective_scan")
    for case in fixture.meta["cases"]:
        name = case["case"]
        leaves = fixture.tensors(f"{name}/input/", dtype)
        weight = leaves.pop("grad_y")
        for leaf in leaves.values():
            leaf.requires_grad_()
        softplus = case["delta_softplus"]
        y, last_state = selective_scan(**leaves, delta_softplus=softplus, return_last_state=True)
        (y * weight).sum().backward()
        found = {"output64/y": y, "output64/last_state": last_state}
        found |= {f"grad64/{key}": leaf.grad for key, leaf in leaves.items() if leaf.grad is not None}
        assert len(found) == len(leaves) + 2
        for key, value in found.items():
            assert value.dtype == dtype
            assert_near(value, torch.from_numpy(fixture.arrays[f"{name}/{key}"]), TOLERANCE[dtype])


@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("batch", "channels", "length", "states", "groups"),
    [(1, 1, 1, 1, 0), (2, 5, 17, 3, 0), (1, 16, 300, 16, 1), (3, 24, 129, 7, 3), (1, 40, 260, 33, 2)],
)
def test_a_fast_path_gives_what_the_reference_gives(
    path: str,
    dtype: torch.dtype,
    batch: int,
    channels: int,
    length: int,
    states: int,
    groups: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = make_arguments(batch, channels, length, states, groups)
    rounded = {name: x.to(dtype) for name, x in exact.items()}
    wide = {name: x.double() for name, x in rounded.items()}
    monkeypatch.setenv("EFFSEG_SCAN", "reference")
    expected, expected_state = selective_scan(**wide, delta_softplus=True, return_last_state=True)
    expected_gradients = gradients(wide)
    monkeypatch.setenv("EFFSEG_SCAN", path)
    y, last_state = selective_scan(**rounded, delta_softplus=True, return_last_state=True)
    assert_near(y, expected, TOLERANCE[dtype])
    assert_near(last_state, expected_state, TOLERANCE[dtype])
    for name, gradient in gradients(rounded).items():
        assert_near(gradient, expected_gradients[name], 5 * TOLERANCE[dtype])


@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize("present", list(itertools.product([False, True], repeat=4)))
def test_every_choice_of_options_fits_the_reference(
    path: str, present: tuple[bool, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    *optional, softplus = present
    arguments = make_arguments()
    arguments["delta"] = arguments["delta"].abs()
    for name, keep in zip(("D", "z", "delta_bias"), optional, strict=True):
        if not keep:
            del arguments[name]
    monkeypatch.setenv("EFFSEG_SCAN", "reference")
    expected = gradients(arguments, softplus) | {"y": selective_scan(**arguments, delta_softplus=softplus)}
    monkeypatch.setenv("EFFSEG_SCAN", path)
    found = gradients(arguments, softplus) | {"y": selective_scan(**arguments, delta_softplus=softplus)}
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert_near(found[name], value, 1e-12)


def test_gradients_are_those_of_the_values(path: str) -> None:
    arguments = make_arguments(batch=1, channels=3, length=5, states=2)
    names = list(arguments)
    leaves = [arguments[name].requires_grad_() for name in names]

    def scan(*tensors: Tensor) -> Tensor:
        return selective_scan(**dict(zip(names, tensors, strict=True)), delta_softplus=True)

    assert torch.autograd.gradcheck(scan, leaves)


def test_the_scan_is_linear_in_its_sequence(path: str) -> None:
    arguments = make_arguments()
    other = torch.randn(arguments["u"].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    y = selective_scan(**arguments)
    y_other = selective_scan(**(arguments | {"u": other}))
    y_sum = selective_scan(**(arguments | {"u": 2 * arguments["u"] - 3 * other}))
    assert_near(y_sum, 2 * y - 3 * y_other, 1e-12)


def test_the_past_does_not_see_the_future(path: str) -> None:
    arguments = make_arguments(length=140)
    changed = {name: x.clone() for name, x in arguments.items()}
    for name in ("u", "delta", "B", "C", "z"):
        changed[name][..., 130:] = 1.0
    before = selective_scan(**arguments, delta_softplus=True)[..., :130]
    assert torch.equal(before, selective_scan(**changed, delta_softplus=True)[..., :130])


def test_a_batch_is_its_elements(path: str) -> None:
    arguments = make_arguments(batch=3, groups=2)
    y = selective_scan(**arguments, delta_softplus=True)
    for i in range(3):
        batched = ("u", "delta", "B", "C", "z")
        element = {name: x[i : i + 1] if name in batched else x for name, x in arguments.items()}
        assert_near(selective_scan(**element, delta_softplus=True), y[i : i + 1], 1e-13)


def test_channels_may_be_scanned_apart(path: str) -> None:
    arguments = make_arguments(channels=12)
    y = selective_scan(**arguments, delta_softplus=True)
    per_channel = ("u", "delta", "z")
    part = {name: x[:, 4:9] if name in per_channel else x for name, x in arguments.items()}
    part |= {name: arguments[name][4:9] for name in ("A", "D", "delta_bias")}
    assert_near(selective_scan(**part, delta_softplus=True), y[:, 4:9], 1e-13)


def test_groups_are_scans_of_their_own(path: str) -> None:
    arguments = make_arguments(channels=6, groups=3)
    y = selective_scan(**arguments)
    for g in range(3):
        part = {name: x[:, 2 * g : 2 * g + 2] for name, x in arguments.items() if name in ("u", "delta", "z")}
        part |= {name: arguments[name][2 * g : 2 * g + 2] for name in ("A", "D", "delta_bias")}
        part |= {name: arguments[name][:, g] for name in ("B", "C")}
        assert_near(selective_scan(**part), y[:, 2 * g : 2 * g + 2], 1e-13)


def test_the_last_state_reads_out_the_last_output(path: str) -> None:
    arguments = make_arguments()
    del arguments["D"], arguments["z"]
    y, last_state = selective_scan(**arguments, return_last_state=True)
    assert last_state.shape == (2, 6, 5)
    assert not last_state.requires_grad
    assert_near(torch.einsum("bdn,bn->bd", last_state, arguments["C"][..., -1]), y[..., -1], 1e-12)


@pytest.mark.parametrize("layout", ["token-major", "sliced", "flipped", "expanded"])
def test_memory_layout_does_not_matter(path: str, layout: str) -> None:
    arguments = make_arguments(channels=9, length=70)
    views = {name: _laid_out(x, layout) if x.ndim == 3 else x for name, x in arguments.items()}
    copies = {name: x.contiguous() for name, x in views.items()}
    assert_near(
        selective_scan(**views, delta_softplus=True), selective_scan(**copies, delta_softplus=True), 1e-13
    )
    expected = gradients(copies)
    for name, gradient in gradients_of_views(views).items():
        assert_near(gradient, expected[name], 1e-12)


def _laid_out(x: Tensor, layout: str) -> Tensor:
    if layout == "token-major":
        return x.transpose(1, 2).contiguous().transpose(1, 2)
    if layout == "sliced":
        return x.repeat_interleave(2, -1).repeat_interleave(3, 1)[:, 1::3, ::2]
    if layout == "flipped":
        return x.transpose(0, 2).flip(0).contiguous().transpose(0, 2)
    return x[:, :, :1].expand_as(x)


def gradients_of_views(arguments: Arguments) -> Arguments:
    """As `gradients`, but the strides of the tensors reach the scan."""
    leaves = {name: x.detach().requires_grad_() for name, x in arguments.items()}
    y = selective_scan(**leaves, delta_softplus=True)
    weight = torch.randn(y.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(y, list(leaves.values()), weight)
    return dict(zip(leaves, found, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(path: str, dtype: torch.dtype) -> None:
    arguments = make_arguments(dtype=dtype)
    arguments["A"] = arguments["A"].float()
    wide = {name: x.float() for name, x in arguments.items()}
    y, last_state = selective_scan(**arguments, delta_softplus=True, return_last_state=True)
    assert y.dtype == dtype
    assert last_state.dtype == torch.float32
    assert torch.equal(y, selective_scan(**wide, delta_softplus=True).to(dtype))
    assert all(g.dtype == arguments[name].dtype for name, g in gradients(arguments).items())


def test_autocast_changes_nothing(path: str) -> None:
    arguments = make_arguments(dtype=torch.float32)
    plain = selective_scan(**arguments, delta_softplus=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(selective_scan(**arguments, delta_softplus=True), plain)


def test_one_float64_tensor_widens_the_computation(path: str) -> None:
    arguments = make_arguments(dtype=torch.float32)
    wide = {name: x.double() for name, x in arguments.items()}
    mixed = selective_scan(**(arguments | {"A": wide["A"]}), delta_softplus=True)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, selective_scan(**wide, delta_softplus=True).float())


@pytest.mark.parametrize("name", ["u", "delta", "A", "B", "C", "D", "z", "delta_bias"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_does_not_vanish(path: str, name: str, value: float) -> None:
    arguments = make_arguments(dtype=torch.float32, channels=9, length=140)
    arguments[name].view(-1)[arguments[name].numel() // 2] = value
    y = selective_scan(**arguments, delta_softplus=True)
    assert not torch.isfinite(y).all()


def test_a_decay_to_nothing_is_exactly_nothing(path: str) -> None:
    arguments = make_arguments(dtype=torch.float32, length=200)
    arguments["A"] = torch.full_like(arguments["A"], -1e4)
    arguments["delta"] = torch.ones_like(arguments["delta"])
    for name in ("D", "z", "delta_bias"):
        del arguments[name]
    arguments["u"][..., 1:] = 0
    y = selective_scan(**arguments)
    assert y[..., 0].abs().min() > 0
    assert torch.equal(y[..., 1:], torch.zeros_like(y[..., 1:]))


@pytest.mark.parametrize("path", FAST_PATHS)
@pytest.mark.parametrize("decay", [1e-3, 1.0, 30.0, 1e3])
@pytest.mark.parametrize("step", [1e-5, 1e-2, 3.0])
def test_long_sequences_stay_near_float64(
    path: str, decay: float, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = make_arguments(1, 16, 4000, 4, dtype=torch.float32)
    arguments["A"] = -decay * torch.rand(16, 4, generator=torch.Generator().manual_seed(3)).add_(0.1)
    arguments["delta"] = step * arguments["delta"].abs()
    del arguments["delta_bias"]
    wide = {name: x.double() for name, x in arguments.items()}
    monkeypatch.setenv("EFFSEG_SCAN", path)
    tolerance = 1e-5 if path == "numba" else 1e-4  # plain torch rounds exp(dt A) near 1
    assert_near(selective_scan(**arguments), selective_scan(**wide), tolerance)
    if path == "numba":
        expected = gradients(wide, softplus=False)
        for name, gradient in gradients(arguments, softplus=False).items():
            assert_near(gradient, expected[name], tolerance)


def test_slow_states_beside_fast_ones_keep_their_precision(path: str) -> None:
    exact = make_arguments(batch=1, channels=3, length=2000)
    exact["A"] = torch.tensor([-1e-4, -40.0, -1e-4, -200.0, -1e-4], dtype=torch.float64).repeat(3, 1)
    expected = gradients(exact)
    found = gradients({name: x.float() for name, x in exact.items()})
    for n in range(5):
        assert_near(found["A"][:, n], expected["A"][:, n], 1e-4)
        assert_near(found["B"][:, n], expected["B"][:, n], 1e-5)


@pytest.mark.parametrize("path", FAST_PATHS)
def test_a_growing_state_is_followed(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = make_arguments(length=50, dtype=torch.float32)
    arguments["A"] = 0.05 * arguments["A"].abs()
    wide = {name: x.double() for name, x in arguments.items()}
    monkeypatch.setenv("EFFSEG_SCAN", "reference")
    expected = selective_scan(**wide, delta_softplus=True)
    monkeypatch.setenv("EFFSEG_SCAN", path)
    assert_near(selective_scan(**arguments, delta_softplus=True), expected, 1e-5)


@pytest.mark.parametrize("path", FAST_PATHS)
def test_the_same_input_gives_the_same_bits(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFFSEG_SCAN", path)
    arguments = make_arguments(2, 40, 700, 16, dtype=torch.float32)
    first, second = gradients(arguments), gradients(arguments)
    assert all(torch.equal(first[name], second[name]) for name in first)


BAD = {
    "u has shape": {"u": torch.ones(6, 37)},
    "delta has shape": {"delta": torch.ones(2, 6, 36)},
    "A has shape": {"A": torch.ones(5, 5)},
    "B has shape": {"B": torch.ones(2, 4, 37)},
    "C has shape": {"C": torch.ones(2, 1, 5, 37)},
    "B has 4 groups": {"B": torch.ones(2, 4, 5, 37)},
    "D has shape": {"D": torch.ones(7)},
    "z has shape": {"z": torch.ones(2, 37, 6)},
    "delta_bias has shape": {"delta_bias": torch.ones(6, 1)},
    "A is of dtype torch.int64": {"A": torch.ones(6, 5, dtype=torch.int64)},
    "z is on meta": {"z": torch.ones(2, 6, 37, device="meta")},
}


@pytest.mark.parametrize("message", BAD)
def test_a_misfit_is_named(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        selective_scan(**(make_arguments() | BAD[message]))


def test_an_unknown_path_is_refused_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFFSEG_SCAN", "chunky")
    with pytest.raises(ValueError, match="Did you mean chunked"):
        selective_scan(**make_arguments())


def test_numba_cannot_be_forced_on_another_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EFFSEG_SCAN", "numba")
    with pytest.raises(ValueError, match="CPU"):
        scan_path("cuda", torch.float32)


def test_the_path_follows_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EFFSEG_SCAN", raising=False)
    assert scan_path("cpu", torch.float32) == "numba-cpu"
    assert scan_path("cpu", torch.float64) == "numba-cpu"
    assert scan_path("mps", torch.float32) == "chunked-torch"
    assert scan_path("cuda", torch.float64) == "chunked-torch"
    assert scan_report()["cpu"].startswith("numba-cpu")


def test_without_numba_torch_takes_over_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from napari_effseg.nets.selective_scan import _numba_problem

    monkeypatch.delenv("EFFSEG_SCAN", raising=False)
    monkeypatch.setitem(__import__("sys").modules, "napari_effseg.nets._scan_cpu", None)
    _numba_problem.cache_clear()
    try:
        assert scan_path("cpu", torch.float32) == "chunked-torch"
        assert "numba" in caplog.text
        assert scan_report()["cpu"].startswith("chunked-torch (numba cannot be imported")
    finally:
        _numba_problem.cache_clear()


def test_a_compiler_that_fails_is_reported(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from napari_effseg.nets import _scan_cpu
    from napari_effseg.nets.selective_scan import _numba_problem

    def fail(*_: object) -> None:
        raise AttributeError("no such instruction")

    monkeypatch.delenv("EFFSEG_SCAN", raising=False)
    monkeypatch.setattr(_scan_cpu, "forward", fail)
    _numba_problem.cache_clear()
    try:
        assert scan_path("cpu", torch.float32) == "chunked-torch"
        assert "no such instruction" in caplog.text
    finally:
        _numba_problem.cache_clear()
