import pytest
import torch

from napari_effseg import nets

from .parity import key_list, read, relative_error

FIXTURES = ["hrmedseg_small", "hrmedseg_decoder256"]
SMALL = {
    "dim": 24,
    "img_size": 64,
    "embed_dim": 16,
    "decoder_heads": 2,
    "decoder_mlp_dim": 8,
    "mask_in_chans": 4,
}


def _official(name, dtype):
    fixture = read(name)
    reduced = {k: v for k, v in (fixture.meta["reduced"] or {}).items() if k != "note"}
    net = nets.create("hrmedsegsam", **fixture.meta["constructor"], **reduced).to(dtype).eval()
    net.load_state_dict(fixture.tensors("state/", dtype), strict=True)
    return fixture, net


def _prompts(fixture, case, dtype):
    given = fixture.tensors(f"input/prompt/{case}/", dtype)
    points = (given["points"], given["labels"]) if "points" in given else None
    return {"points": points, "boxes": given.get("boxes"), "masks": given.get("masks")}


def _cases(fixture):
    return sorted(
        name.split("/", 2)[2] for name in fixture.arrays if name.startswith("output/low_res_multi/")
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", FIXTURES)
def test_the_encoder_equals_the_official_one(name, dtype):
    fixture, net = _official(name, dtype)
    x = fixture.tensors("input/", dtype)["x"]
    limit = 1e-9 if dtype is torch.float64 else 1e-4
    with torch.inference_mode():
        assert relative_error(net.image_encoder(x), fixture.arrays["output64/encoder_tokens"]) < limit
        assert relative_error(net.encode(x), fixture.arrays["output64/neck"]) < limit
        assert relative_error(net(x), fixture.arrays["output64/y"]) < max(limit, 1e-6)


@pytest.mark.parametrize("name", FIXTURES)
def test_every_kind_of_prompt_gives_the_official_tokens_and_masks(name):
    fixture, net = _official(name, torch.float32)
    with torch.inference_mode():
        embedding = net.encode(fixture.tensors("input/", torch.float32)["x"][:1])
        for case in _cases(fixture):
            prompts = _prompts(fixture, case, torch.float32)
            sparse, _ = net.prompt_encoder(**prompts)
            masks = net.decode(embedding, **prompts, multimask=True)
            truth = fixture.arrays[f"output/sparse/{case}"]
            assert sparse.shape == truth.shape
            assert truth.size == 0 or relative_error(sparse, truth) < 1e-5
            assert relative_error(masks, fixture.arrays[f"output/low_res_multi/{case}"]) < 1e-4


@pytest.mark.parametrize("name", FIXTURES)
def test_prompted_masks_in_double_precision_equal_the_official_ones(name):
    fixture, net = _official(name, torch.float64)
    with torch.inference_mode():
        embedding = net.encode(fixture.tensors("input/", torch.float64)["x"][:1])
        for case in ("none", "points_mixed", "box"):
            masks = net.decode(embedding, **_prompts(fixture, case, torch.float64), multimask=True)
            assert relative_error(masks, fixture.arrays[f"output64/low_res_multi/{case}"]) < 1e-6


def test_tables_of_another_image_size_are_made_anew():
    large, small = (nets.create("hrmedseg", **{**SMALL, "img_size": size}) for size in (96, 64))
    own = small.state_dict()["image_encoder.layers.1.blocks.0.attn.rope.rotations"].clone()
    small.load_state_dict(large.state_dict(), strict=True)
    state = small.state_dict()
    assert torch.equal(state["image_encoder.layers.1.blocks.0.attn.rope.rotations"], own)
    assert torch.equal(state["neck.0.weight"], large.state_dict()["neck.0.weight"])


def test_tables_need_not_be_in_the_state():
    net = nets.create("hrmedseg", **SMALL)
    net.load_state_dict({k: v for k, v in net.state_dict().items() if "rotations" not in k}, strict=True)


def test_the_rotary_table_is_the_official_one():
    fixture = read("hrmedseg_small")
    net = nets.create("hrmedseg", **fixture.meta["constructor"])
    name = "image_encoder.layers.2.blocks.3.attn.rope.rotations"
    truth = torch.from_numpy(fixture.arrays[f"state/{name}"])
    torch.testing.assert_close(net.state_dict()[name], truth, rtol=0, atol=2e-6)


def test_a_batch_of_prompts_equals_single_calls():
    torch.manual_seed(0)
    net = nets.create("hrmedsegsam", decoder="sam", **SMALL).eval()
    xy, labels = torch.rand(3, 2, 2) * 64, torch.tensor([[1, 0], [1, 1], [0, -1]])
    with torch.inference_mode():
        embedding = net.encode(torch.randn(1, 3, 64, 64))
        together, scores = net.decode(embedding, points=(xy, labels), multimask=True, scores=True)
        apart = [
            net.decode(embedding, points=(xy[n : n + 1], labels[n : n + 1]), multimask=True) for n in range(3)
        ]
    torch.testing.assert_close(together, torch.cat(apart))
    assert scores.shape == (3, 3)


@pytest.mark.parametrize("decoder", ["ecm", "sam"])
def test_prompts_change_the_answer(decoder):
    torch.manual_seed(0)
    net = nets.create("hrmedsegsam", decoder=decoder, **SMALL).eval()
    with torch.inference_mode():
        embedding = net.encode(torch.randn(1, 3, 64, 64))
        plain = net.decode(embedding)
        for prompt in (
            {"points": (torch.tensor([[[9.0, 30.0]]]), torch.ones(1, 1))},
            {"boxes": torch.tensor([[3.0, 4.0, 50.0, 40.0]])},
            {"masks": torch.ones(1, 1, 16, 16)},
        ):
            assert not torch.allclose(net.decode(embedding, **prompt), plain)


def test_one_answer_is_the_first_of_several():
    torch.manual_seed(0)
    net = nets.create("hrmedsegsam", **SMALL).eval()
    box = torch.tensor([[3.0, 4.0, 50.0, 40.0]])
    with torch.inference_mode():
        embedding = net.encode(torch.randn(1, 3, 64, 64))
        several = net.decode(embedding, boxes=box, multimask=True)
        one, scores = net.decode(embedding, boxes=box, scores=True)
    torch.testing.assert_close(one, several[:, :1])
    assert scores is None


def test_one_mask_serves_several_points():
    torch.manual_seed(0)
    net = nets.create("hrmedsegsam", **SMALL).eval()
    points = (torch.rand(2, 1, 2) * 64, torch.ones(2, 1))
    with torch.inference_mode():
        embedding = net.encode(torch.randn(1, 3, 64, 64))
        assert net.decode(embedding, points=points, masks=torch.randn(1, 1, 16, 16)).shape == (2, 1, 16, 16)


def test_several_pictures_take_a_prompt_each():
    torch.manual_seed(0)
    net = nets.create("hrmedsegsam", **SMALL).eval()
    x, boxes = torch.randn(2, 3, 64, 64), torch.tensor([[3.0, 4.0, 50.0, 40.0], [8.0, 8.0, 20.0, 60.0]])
    with torch.inference_mode():
        together = net.decode(net.encode(x), boxes=boxes)
        apart = [net.decode(net.encode(x[n : n + 1]), boxes=boxes[n : n + 1]) for n in range(2)]
    torch.testing.assert_close(together, torch.cat(apart), rtol=1e-4, atol=1e-5)


def test_prompts_that_do_not_go_together_are_refused():
    net = nets.create("hrmedsegsam", **SMALL)
    with pytest.raises(ValueError, match="2 sets of points and 3 boxes"):
        net.prompt_encoder((torch.zeros(2, 1, 2), torch.ones(2, 1)), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="2 embeddings and 3 prompts"):
        net.decode(torch.zeros(2, 16, 4, 4), boxes=torch.zeros(3, 4))


def test_multiscale_changes_the_answer_but_not_the_weights():
    torch.manual_seed(0)
    plain = nets.create("hrmedseg", **SMALL).eval()
    pooled = nets.create("hrmedseg", multiscale=True, **SMALL).eval()
    pooled.load_state_dict(plain.state_dict(), strict=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert not torch.allclose(plain(x), pooled(x))


@pytest.mark.parametrize(("decoder", "count"), [("ecm", 3_526_364), ("sam", 5_637_632)])
def test_counts_are_the_official_ones(decoder, count):
    with torch.device("meta"):
        net = nets.create("hrmedsegsam", decoder=decoder)
    assert sum(p.numel() for p in net.parameters()) == count


def test_a_distilled_encoder_loads_without_a_decoder():
    official = key_list("hrmedseg_distilled_encoder")
    with torch.device("meta"):
        net = nets.create("hrmedsegsam", **official["constructor"])
        state = {name: torch.empty(entry["shape"]) for name, entry in official["keys"].items()}
    net.load_parts(state, "image_encoder", "neck")
    with pytest.raises(RuntimeError, match="Missing"):
        net.load_parts(state, "mask_decoder")


def test_another_size_is_refused_in_words():
    with pytest.raises(ValueError, match=r"expected \(B, 3, 64, 64\)"):
        nets.create("hrmedseg", **SMALL)(torch.zeros(1, 3, 64, 48))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dim": 36}, "multiple of 24"),
        ({"img_size": 1000}, "multiple of 16"),
        ({"decoder": "sam2"}, "'ecm' or 'sam'"),
        ({"embed_dim": 20}, "multiple of 8"),
        ({"mask_in_chans": 6}, "multiple of 4"),
    ],
)
def test_impossible_arguments_are_refused_in_words(wrong, message):
    with pytest.raises(ValueError, match=message):
        nets.create("hrmedseg", **wrong)
