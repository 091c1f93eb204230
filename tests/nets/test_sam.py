from functools import partial

import pytest
import torch

from napari_effseg import nets

SMALL = {"img_size": 320, "encoder_dim": 32, "encoder_depth": 8, "encoder_heads": 2}


@pytest.mark.parametrize(
    ("encoder", "parameters", "tensors"),
    [
        ("vit-b", 93_735_472, 314),
        ("vit-l", 312_342_832, 482),
        ("vit-h", 641_090_608, 594),
        ("tiny-vit", 10_130_092, 439),
    ],
)
def test_counts_are_those_of_the_public_checkpoints(encoder, parameters, tensors):
    with torch.device("meta"):
        net = nets.create("sam", encoder=encoder)
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert len(net.state_dict()) == tensors


def test_the_plain_encoder_equals_that_of_segment_anything():
    """Runs where the package is installed (extra ``sam``): 20 patches a side, so that windows are padded."""
    modeling = pytest.importorskip("segment_anything.modeling", reason="needs the extra sam")
    theirs = modeling.ImageEncoderViT(
        depth=8,
        embed_dim=32,
        img_size=320,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        num_heads=2,
        use_rel_pos=True,
        global_attn_indexes=[1, 3, 5, 7],
        window_size=14,
    ).eval()
    ours = nets.create("sam", **SMALL).eval()
    ours.image_encoder.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(1, 3, 320, 320)
    with torch.inference_mode():
        torch.testing.assert_close(ours.encode(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_its_decoder_serves_hrmedseg():
    torch.manual_seed(0)
    sam = nets.create("sam", **SMALL).eval()
    other = nets.create("hrmedsegsam", dim=24, img_size=320, decoder="sam").eval()
    other.load_parts(sam.state_dict(), "prompt_encoder", "mask_decoder")
    embedding, box = torch.randn(1, 256, 20, 20), torch.tensor([[3.0, 4.0, 200.0, 100.0]])
    with torch.inference_mode():
        torch.testing.assert_close(other.decode(embedding, boxes=box), sam.decode(embedding, boxes=box))


def test_three_alternatives_have_a_score_each():
    torch.manual_seed(0)
    net = nets.create("sam", **SMALL).eval()
    with torch.inference_mode():
        embedding = net.encode(torch.randn(1, 3, 320, 320))
        points = (torch.rand(2, 1, 2) * 320, torch.ones(2, 1))
        masks, scores = net.decode(embedding, points=points, multimask=True, scores=True)
    assert masks.shape == (2, 3, 80, 80)
    assert scores.shape == (2, 3)


def test_windows_are_padded_where_they_do_not_fit():
    torch.manual_seed(0)
    net = nets.create("sam", encoder="tiny-vit", img_size=144).eval()  # 36, 18, 9 and 9 places a side
    with torch.inference_mode():
        assert net.encode(torch.randn(1, 3, 144, 144)).shape == (1, 256, 9, 9)


def test_another_size_is_refused_in_words():
    with pytest.raises(ValueError, match=r"expected \(B, 3, 320, 320\)"):
        nets.create("sam", **SMALL)(torch.zeros(1, 3, 320, 240))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"encoder": "vit-g"}, "expected one of"),
        ({"img_size": 1000}, "multiple of 16"),
        ({"encoder_dim": 100}, "do not divide"),
    ],
)
def test_impossible_arguments_are_refused_in_words(wrong, message):
    with pytest.raises(ValueError, match=message):
        nets.create("sam", **wrong)
