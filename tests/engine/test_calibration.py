import pytest
import torch

from napari_effseg.engine.calibration import fit_temperature
from napari_effseg.errors import VolumeError
from napari_effseg.zoo import OutputSpec, Region

NESTED = OutputSpec("regions", (Region(0, 1), Region(1, 2)))


def drawn(logits, seed=0):
    """Labels drawn from the probabilities of these logits (C, N)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(torch.softmax(logits.T, 1), 1, generator=generator)[:, 0]


def noise(channels, voxels=20000):
    return 2 * torch.randn(channels, voxels, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_a_factor_on_the_logits(factor):
    logits = noise(3)
    assert fit_temperature(logits * factor, drawn(logits), OutputSpec("softmax")) == pytest.approx(
        factor, rel=0.05
    )


def test_the_temperature_of_a_sigmoid_undoes_a_factor_too():
    logits = noise(1)
    truth = drawn(torch.cat([torch.zeros_like(logits), logits]))
    assert fit_temperature(logits * 2, truth, OutputSpec("sigmoid")) == pytest.approx(2, rel=0.05)


def test_an_inner_region_counts_for_the_outer_one():
    truth = torch.tensor([0, 1, 2] * 300)
    sure = torch.stack([torch.where(truth >= 1, 4.0, -4.0), torch.where(truth >= 2, 4.0, -4.0)])
    assert fit_temperature(sure, truth, NESTED) < 0.2
    assert fit_temperature(-sure, truth, NESTED) > 15


@pytest.mark.parametrize("shapes", [((3, 0), (0,)), ((3, 5), (4,)), ((3, 5, 5), (5, 5))])
def test_logits_without_their_labels_are_refused(shapes):
    with pytest.raises(VolumeError, match="were given"):
        fit_temperature(torch.zeros(shapes[0]), torch.zeros(shapes[1]), OutputSpec("softmax"))
