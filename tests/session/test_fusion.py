"""Early fusion: which look at a slice answers, and which mask comes first."""

import numpy as np
import pytest
import torch

from napari_effseg.engine.session.body import PlanePrompt, SliceImage
from napari_effseg.engine.session.fusion import FusionBody

SIDE = 32


class Seen:
    """A network that notes what it is shown, and answers with what lies at most `reach` from a click."""

    def __init__(self, scores=(0.0, 3.0, 1.0, 2.0), reach=4):
        self.frames, self.scores, self.reach = [], torch.tensor([scores]), reach
        self.further = []

    def ranked(self, given, most=None, *, further=False):
        self.frames += list(given[:, :3].clone())
        self.further.append(further)
        positive, negative = given[:, 4:5], given[:, 5:6]
        near = torch.nn.functional.max_pool2d(positive, 2 * self.reach + 1, 1, self.reach)
        mask = torch.where((near > 0) & (negative == 0), 5.0, -5.0)
        masks = torch.cat([mask, -mask, mask, mask], dim=1)
        return masks[:, :most], self.scores.expand(len(given), -1)[:, :most]


def click(row, column, positive=True):
    return PlanePrompt(positive, np.asarray([[row, column]], float))


def body(network):
    body = FusionBody(network, SIDE, torch.device("cpu"))
    network.frames.clear()
    network.further.clear()  # of the answer about nothing, for which nobody waits
    return body


IMAGE = SliceImage((0,), torch.rand(3, 128, 100, generator=torch.Generator().manual_seed(0)))


def test_a_first_click_is_looked_at_from_afar_and_ever_more_closely():
    network = Seen()
    body(network).answer(IMAGE, [click(60, 50)], None, None)
    assert len(network.frames) == 3  # 128, 64 and 32 pixels of the image


class Sizes(Seen):
    """Thinks most of the look that is so many times closer than the whole slice, and of its first mask."""

    def __init__(self, closer):
        super().__init__(reach=6)
        self.closer = closer

    def ranked(self, given, most=None, *, further=False):
        logits, scores = super().ranked(given, most)
        best = len(self.frames) == 1 + self.closer
        return logits, torch.tensor([[3.0, -9.0, 1.0, 0.0]])[:, :most] if best else scores * 0 - 2


def test_the_look_that_thinks_most_of_itself_answers_a_first_click():
    areas = [
        int((body(Sizes(closer)).answer(IMAGE, [click(60, 50)], None, None)[0].logits > 0).sum())
        for closer in range(3)
    ]
    assert areas[0] > 2 * areas[1] > 4 * areas[2] > 0


def test_alternatives_to_a_first_click_differ_and_come_by_their_scores():
    found = body(Sizes(1)).answer(IMAGE, [click(60, 50)], None, None)
    assert 1 < len(found) <= 4
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    masks = [one.logits > 0 for one in found]
    for number, one in enumerate(masks):
        for other in masks[:number]:
            assert (one & other).sum() < 0.85 * (one | other).sum()


def test_an_answer_that_a_closer_look_confirms_counts_more():
    class Steady(Seen):
        """Finds one disk in both closer looks, and thinks a little more of another one."""

        def ranked(self, given, most=None, *, further=False):
            super().ranked(given, most)
            side, radius, score = ((128, 50, 0.5), (64, 12, 0.3), (32, 12, 0.2))[(len(self.frames) - 1) % 3]
            rows = torch.arange(SIDE) - (SIDE - 1) / 2
            mask = (rows[:, None] ** 2 + rows**2).sqrt() * side / SIDE < radius
            return torch.where(mask, 5.0, -5.0).expand(1, 4, -1, -1), torch.full((1, 4), score)

    found = body(Steady()).answer(IMAGE, [click(64, 50)], None, None)[0].logits > 0
    assert found.sum() == pytest.approx(np.pi * 12**2, rel=0.15)


@pytest.mark.parametrize(
    ("prompts", "answered", "further"),
    [
        ([click(60, 50)], False, False),
        ([click(60, 50, positive=False)], False, True),
        ([click(60, 50)], True, True),
        ([click(60, 50), click(70, 50)], True, True),
        ([PlanePrompt(True, None, torch.ones(128, 100))], False, True),
    ],
)
def test_the_second_network_is_asked_about_all_but_a_first_click(prompts, answered, further):
    network = Seen()
    before = torch.full((128, 100), -5.0) if answered else None
    body(network).answer(IMAGE, prompts, before, None)
    assert set(network.further) == {further}


def test_a_small_picture_is_answered_by_the_first_mask_the_others_by_their_scores():
    small = SliceImage((1,), torch.rand(3, 50, 36, generator=torch.Generator().manual_seed(0)))
    found = body(Seen()).answer(small, [click(30, 20)], None, None)
    assert [round(one.score, 3) for one in found] == [
        pytest.approx(float(torch.tensor(score).sigmoid()), abs=1e-3) for score in (0.0, 3.0, 2.0, 1.0)
    ]


def test_a_long_scribble_is_not_looked_at_more_closely_than_it_is_long():
    network = Seen()
    line = PlanePrompt(True, np.stack([np.full(90, 60), np.arange(5, 95)], axis=1).astype(float))
    body(network).answer(IMAGE, [line], None, None)
    assert len(network.frames) == 1


def test_corrections_are_answered_by_a_closer_look():
    network = Seen()
    before = torch.full((128, 100), -5.0)
    before[50:60, 40:50] = 5
    found = body(network).answer(IMAGE, [click(55, 45), click(58, 52, False)], before, None)
    assert len(network.frames) == 1
    assert len(found) == 1
    assert found[0].logits[55, 45] > 0
    assert found[0].logits[58, 52] < 0


def test_a_correction_far_away_widens_the_look():
    network = Seen()
    before = torch.full((128, 100), -5.0)
    before[50:60, 40:50] = 5
    found = body(network).answer(IMAGE, [click(55, 45), click(120, 90)], before, None)
    assert len(network.frames) == 1
    assert found[0].logits[55, 45] > 0
    assert found[0].logits[120, 90] > 0


def test_a_box_is_looked_at_closely():
    network = Seen()
    region = torch.zeros(128, 100)
    region[20:40, 30:44] = 1
    body(network).answer(IMAGE, [PlanePrompt(True, None, region, (20, 30, 40, 44))], None, None)
    assert len(network.frames) == 1
    whole = Seen()
    body(whole).answer(IMAGE, [click(30, 37)], None, None)
    assert not torch.equal(network.frames[0], whole.frames[0])


def disk(radius, centre=(50.0, 45.0), shape=(128, 100)):
    rows, columns = torch.meshgrid(*(torch.arange(side) for side in shape), indexing="ij")
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2


def shown_disk(radius, centre=(50.0, 45.0), bright=0.8, seed=0):
    noise = torch.randn(3, 128, 100, generator=torch.Generator().manual_seed(seed)) * 0.02
    return SliceImage((radius, centre, bright), 0.2 + (bright - 0.2) * disk(radius, centre).float() + noise)


@pytest.mark.parametrize(("radius", "centre"), [(14, (52.0, 47.0)), (11, (50.0, 45.0)), (16, (50.0, 44.0))])
def test_an_object_is_followed_to_where_it_is_now(radius, centre):
    before = torch.where(disk(13), 4.0, -4.0)
    found = body(Seen()).carry(shown_disk(radius, centre), before, shown_disk(13), None).logits > 0
    truth = disk(radius, centre)
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.93


def test_an_object_that_has_ended_is_not_followed():
    before = torch.where(disk(13), 4.0, -4.0)
    ended = SliceImage((1,), torch.full((3, 128, 100), 0.2))
    assert not (body(Seen()).carry(ended, before, shown_disk(13), None).logits > 0).any()


def test_what_is_finished_is_not_taken_when_following():
    before, locked = torch.where(disk(13), 4.0, -4.0), disk(6).float()
    found = body(Seen()).carry(shown_disk(13), before, shown_disk(13), locked).logits > 0
    assert found.any()
    assert not found[locked > 0].any()
