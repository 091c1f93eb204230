"""Drawn label maps become prompts that cover exactly what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_effseg import PromptError
from napari_effseg.prompt_files import scribbles_of
from napari_effseg.prompt_voxels import plane_of, voxels_of

SHAPE = (7, 6, 5)
SPACING = (1.0, 0.8, 3.0)


def drawn_by(prompts, positive):
    """Voxels that the lines of one sign cover."""
    covered = np.zeros(SHAPE, bool)
    for prompt in prompts:
        if prompt.positive == positive:
            (low, high), inside = voxels_of(prompt, SHAPE)
            covered[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] |= inside
    return covered


@given(st.integers(0, 10_000), st.sampled_from([0, 1, 2]))
def test_lines_cover_exactly_what_was_drawn_in_the_plane_that_was_meant(seed, axis):
    random = np.random.default_rng(seed)
    labels = random.choice([0, 1, 2], SHAPE, p=[0.6, 0.25, 0.15])
    labels[3, 3, 2] = 1
    prompts = list(scribbles_of(labels, axis))
    assert {plane_of(prompt, (40, 40, 40), SPACING, axis) for prompt in prompts} == {axis}
    assert (drawn_by(prompts, positive=True) == (labels == 1)).all()
    assert (drawn_by(prompts, positive=False) == (labels == 2)).all()


def test_a_long_line_is_one_prompt():
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:6, 1, 2] = labels[5, 1:5, 2] = 1
    (line,) = scribbles_of(labels, 2)
    assert (drawn_by([line], positive=True) == (labels == 1)).all()


@pytest.mark.parametrize(("number", "said"), [(0, "empty"), (3, "holds 3")])
def test_what_is_no_scribble_is_refused(number, said):
    with pytest.raises(PromptError, match=said):
        list(scribbles_of(np.full(SHAPE, number), 2))
