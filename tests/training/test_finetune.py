"""Finetuning: what it keeps, what it never looks at, and what it says."""

import dataclasses
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import napari_effseg as eff
from napari_effseg import zoo
from napari_effseg.evaluation import EvaluationOptions, evaluate
from napari_effseg.training import FinetuneOptions, prepare_finetuning
from napari_effseg.training.finetune.schedule import Costs, Schedule
from napari_effseg.training.loop import CHECKPOINT

from .balls import ball, ball_card, ball_folder, list_cases

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.xdist_group("finetuning")  # of which many tests look at the same two runs
OPTIONS = FinetuneOptions(device="cpu", steps=4, learning_rate=0.01)
HEAD = "conv_final.2.1.conv."
HELD_BACK = "ball_2"  # of five, by the SHA-256 of their names


@pytest.fixture
def base(tmp_path):
    return ball_card(tmp_path / "base")


@pytest.fixture
def data(tmp_path):
    return ball_folder(tmp_path / "data")


@pytest.fixture
def finetune(tmp_path):
    """Finetune in one go; keywords change the options."""

    def run(model, data, folder="run", cancel=None, **changes):
        options = dataclasses.replace(OPTIONS, output=tmp_path / folder, **changes)
        return prepare_finetuning(model, data, options).run(cancel=cancel)

    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of all its steps, with its base and folder of cases beside it: for tests that only look at it."""
    folder = tmp_path_factory.mktemp("whole")
    base, data = ball_card(folder / "base"), ball_folder(folder / "data")
    seen = []
    job = prepare_finetuning(base, data, dataclasses.replace(OPTIONS, output=folder / "run"))
    result = job.run(seen=lambda points, before: seen.append((len(points), dict(before))))
    return SimpleNamespace(base=base, data=data, result=result, seen=seen)


@pytest.fixture
def over(whole, tmp_path):
    """The folder ``run`` of this test holds a copy of the whole run."""
    shutil.copytree(whole.result.folder, tmp_path / "run")
    return whole


def learned(folder):
    """Weights that a run has come to, whether they are better or not."""
    return torch.load(folder / CHECKPOINT, weights_only=True)["net"]


def start_of(card):
    return load_file(zoo.weights_path(card))


def same(one, other):
    return {name: bool(torch.equal(value, other[name])) for name, value in one.items()}


@pytest.fixture(scope="module")
def better(tmp_path_factory):
    """A run that found better weights, with its card and folder of cases."""
    folder = tmp_path_factory.mktemp("better")
    base, data = ball_card(folder / "base"), ball_folder(folder / "data")
    options = dataclasses.replace(OPTIONS, output=folder / "run", steps=8)
    result = prepare_finetuning(base, data, options).run()
    assert result.card is not None
    return result


def test_a_better_model_is_kept_with_all_its_files(better):
    assert better.after.mean > better.before.mean
    assert {path.name for path in better.folder.iterdir()} == {
        *("card.toml", "balls-finetuned.safetensors", "config.toml", "log.txt"),
        *("history.json", "curves.png", CHECKPOINT),
    }


def test_the_card_segments_and_says_where_it_comes_from(better):
    card, data = zoo.read_card(better.folder / "card.toml"), better.folder.parent / "data"
    base = zoo.read_card(better.folder.parent / "base" / "balls.toml")
    result = eff.segment(eff.load(data / "images" / "ball_4.nii.gz"), model=card, device="cpu")
    assert result.labels.names == {1: "ball"}
    assert card.training.finetuned_from == f"balls, SHA-256 {base.weights.sha256}"
    assert card.weights.licence == base.weights.licence
    assert not card.training.redistributable  # the folder does not say that it may be
    assert "finetuned on 4 cases, 1 held back" in card.training.split
    assert any("inherit the licence" in limit for limit in card.limits)


def test_the_accuracy_on_the_card_is_what_its_command_measures(better):
    card, data = zoo.read_card(better.folder / "card.toml"), better.folder.parent / "data"
    stated = {row.label: row.mean for row in card.accuracy}
    assert card.accuracy[0].command == (
        "effseg evaluate card.toml data --split validation --held-back 0.2 --label 1=ball"
    )
    options = EvaluationOptions("validation", "cpu", held_back=0.2, names={1: "ball"})
    found = evaluate(card, data, options)
    assert [case.case for case in found.cases] == [HELD_BACK]
    assert stated["mean"] == stated["ball"] == round(found.over_cases("dice").mean, 4)


def test_a_finetuned_model_can_be_finetuned_again(better, data, finetune):
    again = finetune(better.folder / "card.toml", data, "again")
    assert again.before.by_label == pytest.approx(better.after.by_label)


def test_what_is_frozen_stays_to_the_last_bit_and_the_rest_learns(base, data, finetune):
    result = finetune(base, data, freeze="encoder")
    for name, kept in same(start_of(base), learned(result.folder)).items():
        assert kept == name.startswith(("convInit.", "down_layers.")), name


def test_an_interrupted_run_ends_as_an_uninterrupted_one(whole, finetune, tmp_path):
    with pytest.raises(eff.Cancelled, match="2 steps"):
        finetune(whole.base, whole.data, cancel=_after_steps(tmp_path / "run", 2))
    resumed = finetune(whole.base, whole.data, resume=True)
    assert resumed.steps == whole.result.steps == 4
    assert all(same(learned(whole.result.folder), learned(resumed.folder)).values())
    assert resumed.before == whole.result.before


def test_a_run_that_is_over_can_be_resumed_and_says_the_same(over, finetune):
    first, again = over.result, finetune(over.base, over.data, resume=True)
    assert (again.before, again.after, again.steps) == (first.before, first.after, first.steps)


def test_held_back_cases_only_measure(whole, data, finetune):
    image, mask = ball(7)  # another case in the same place
    eff.save(image, data / "images" / f"{HELD_BACK}.nii.gz")
    eff.save(eff.LabelMap(mask, image.affine), data / "labels" / f"{HELD_BACK}.nii.gz")
    second = finetune(whole.base, data)
    assert all(same(learned(whole.result.folder), learned(second.folder)).values())
    assert whole.result.before != second.before


def test_the_test_list_is_never_looked_at(base, data, finetune):
    list_cases(data, {"1": "ball"})
    for kind in ("images", "labels"):
        (data / kind / "ball_4.nii.gz").write_bytes(b"not an image")
    assert finetune(base, data).steps == 4


def test_the_data_sets_own_validation_list_is_held_back(base, data):
    list_cases(data, {"1": "ball"})
    plan = prepare_finetuning(base, data, OPTIONS).plan
    assert plan.held_back == ("ball_3",)
    assert "own validation list" in plan.rule


def test_other_numbers_and_spellings_are_the_same_structure(base, tmp_path, finetune):
    plain, renamed = (ball_folder(tmp_path / name, label=label) for name, label in (("one", 1), ("nine", 9)))
    list_cases(plain, {"1": "ball"})
    list_cases(renamed, {"9": "Ball_"})
    first, second = finetune(base, plain, "first"), finetune(base, renamed, "second")
    assert first.before.by_label == second.before.by_label
    assert all(same(learned(first.folder), learned(second.folder)).values())


def test_a_new_structure_begins_at_nothing_with_a_new_output(base, data, finetune):
    result = finetune(base, data, steps=8, names={1: "cyst"})
    assert result.before.by_label == {"cyst": 0.0}
    assert result.card.label_names == {1: "cyst"}
    assert result.card.labels[0].code.scheme == "99EFFSEG"
    assert result.card.field_of_view.minimum_mm == (15.0, 17.0, 16.0)
    assert max(result.after.by_label.values()) > 0


def test_fewer_structures_keep_their_outputs(data, tmp_path):
    two = ball_card(tmp_path / "two", "box", "ball")
    job = prepare_finetuning(two, data, dataclasses.replace(OPTIONS, names={1: "ball"}))
    new, old = job.material.network.state_dict()[f"{HEAD}bias"], start_of(two)[f"{HEAD}bias"]
    assert torch.equal(new, old[[0, 2]])
    assert any("will not know: box" in note for note in job.plan.notes)


def test_the_way_to_find_the_same_structures_is_kept_and_to_others_not(data, tmp_path):
    boxes = (zoo.LocatedBox((-5.0, 0.0, 0.0), (16.0, 16.0, 16.0)),)
    one = ball_card(tmp_path / "one")
    found = ball_card(
        tmp_path / "found",
        input=dataclasses.replace(one.input, spacing=(1.0, 1.0, 1.0)),
        field_of_view=dataclasses.replace(one.field_of_view, locate="template"),
        locate=zoo.LocateSpec("mni152", boxes),
    )
    same, other = (
        prepare_finetuning(found, data, dataclasses.replace(OPTIONS, names={1: name})).material.draft
        for name in ("ball", "cyst")
    )
    assert same.locate == dataclasses.replace(found.locate, contrast="any")  # the cases may have another one
    assert (other.locate, other.field_of_view.locate) == (None, "region")


def test_weights_that_are_not_better_are_not_kept(base, data, finetune):
    result = finetune(base, data, learning_rate=1e-12)
    assert result.card is None
    assert result.after is None
    assert not (result.folder / "card.toml").exists()
    assert not list(result.folder.glob("*.safetensors"))
    assert "not better" in (result.folder / "log.txt").read_text(encoding="utf-8")


def test_the_plan_tells_what_a_run_will_cost(base, data):
    jobs = [
        prepare_finetuning(base, data, dataclasses.replace(OPTIONS, freeze=what))
        for what in ("none", "encoder")
    ]
    none, encoder = (job.plan for job in jobs)
    assert encoder.memory_bytes < none.memory_bytes
    assert encoder.learning < none.learning == none.values
    first, *others = none.describe()
    assert "4 steps" in first
    assert "GB" in first
    assert HELD_BACK in " ".join(others)
    assert base.weights.licence in " ".join(others)


def test_mirrored_anatomy_is_no_example_of_a_sided_structure(data, tmp_path):
    sided = ball_card(tmp_path / "sided", "left ball")
    jobs = [
        prepare_finetuning(ball_card(tmp_path / "base"), data, OPTIONS),
        prepare_finetuning(sided, data, dataclasses.replace(OPTIONS, names={1: "left ball"})),
    ]
    assert [job.material.config.augment.mirror for job in jobs] == [("LR",), ()]


def test_the_configuration_tells_all_that_decides_a_run(better):
    kept = tomllib.loads((better.folder / "config.toml").read_text(encoding="utf-8"))
    assert kept["finetune"]["held_back"] == [HELD_BACK]
    assert kept["run"]["steps"] == 8
    assert kept["card"]["name"] == "balls-finetuned"


def test_other_options_cannot_go_on_with_a_run(over, finetune):
    with pytest.raises(eff.ConfigError, match=r"steps = 4.*steps = 5"):
        finetune(over.base, over.data, steps=5, resume=True)
    with pytest.raises(eff.ConfigError, match="already holds a run"):
        finetune(over.base, over.data)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"names": {1: "bal"}}, "Did you mean ball"),
        ({"names": {1: "ball", 3: "box"}}, "no case to train on holds 'box'"),
        ({"held_back": 1.5}, "less than 1"),
        ({"name": "Mine!"}, "lower-case words"),
        ({"name": "hippocampus-lightm-unet"}, "built-in"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(base, data, changes, said):
    with pytest.raises(eff.ConfigError, match=said):
        prepare_finetuning(base, data, dataclasses.replace(OPTIONS, **changes))


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"learning_rate": 0.0}, {"freeze": "decoder"}])
def test_an_option_out_of_range_is_refused(wrong):
    with pytest.raises(eff.ConfigError):
        dataclasses.replace(OPTIONS, **wrong)


def test_images_larger_than_the_model_may_see_are_refused(data, tmp_path):
    small = zoo.FieldOfView((1.0, 1.0, 1.0), (9.0, 9.0, 9.0), "region")
    with pytest.raises(eff.VolumeError, match=r"ball_.*crop images and label maps"):
        prepare_finetuning(ball_card(tmp_path / "small", field_of_view=small), data, OPTIONS)


def test_outputs_that_training_does_not_know_are_refused(data, tmp_path):
    sigmoid = ball_card(
        tmp_path / "sigmoid",
        output=zoo.OutputSpec("sigmoid"),
        labels=tuple(
            zoo.LabelSpec(n, name, (n, 0, 0), zoo.CodeSpec("99EFFSEG", "ball", "Ball"))
            for n, name in enumerate(("ball", "box"), 1)
        ),
    )
    with pytest.raises(eff.ConfigError, match="softmax"):
        prepare_finetuning(sigmoid, data, OPTIONS)


def test_a_model_that_numbers_objects_is_refused(data, tmp_path):
    objects = zoo.Postprocess(instances=zoo.Instances(border=2))
    card = ball_card(tmp_path / "objects", "ball", "rim", postprocess=objects)
    with pytest.raises(eff.ConfigError, match="numbers objects"):
        prepare_finetuning(card, data, OPTIONS)


def test_changed_weights_are_refused_before_they_are_used(base, data):
    path = zoo.weights_path(base)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(eff.WeightsError):
        prepare_finetuning(base, data, OPTIONS)


def test_a_folder_of_one_case_cannot_be_divided(base, tmp_path):
    with pytest.raises(eff.ConfigError, match="at least 2"):
        prepare_finetuning(base, ball_folder(tmp_path / "one", cases=1), OPTIONS)


def test_a_worse_structure_is_named_even_if_the_mean_is_better():
    from napari_effseg.training.finetune.held_back import Scores
    from napari_effseg.training.finetune.run import _doubts

    before, after = (Scores(({"a": a, "b": b},), ()) for a, b in ((0.5, 0.9), (0.9, 0.8)))
    (warning,) = _doubts(before, after)
    assert "b came out worse" in warning
    assert np.isclose(after.mean, 0.85)


def _after_steps(folder, steps):
    """Cancel once the run in `folder` has begun and asked so often."""
    asked = 0

    def cancel():
        nonlocal asked
        began = (folder / "log.txt").is_file() and "before: mean" in (folder / "log.txt").read_text()
        asked += began
        return asked > steps

    return cancel


# --- minutes ---


def test_minutes_become_as_many_steps_as_fit():
    fast, slow = Costs(step=0.1, one_pass=1.0), Costs(step=2.0, one_pass=1.0)
    assert Schedule.of_minutes(2, fast).steps > 15 * Schedule.of_minutes(2, slow).steps
    for costs in (fast, slow):
        assert Schedule.of_minutes(2, costs).seconds(costs) == pytest.approx(120, rel=0.1)


def test_large_held_back_cases_leave_time_for_steps():
    costs = Costs(step=1.0, one_pass=60.0)
    schedule = Schedule.of_minutes(5, costs)
    assert schedule.steps > 50
    assert schedule.steps // schedule.validate_every < 3


def test_a_moment_is_one_step_at_least():
    assert Schedule.of_minutes(1e-6, Costs(step=1.0, one_pass=1.0)).steps == 1


def test_a_run_of_minutes_says_its_steps_and_goes_on_with_them(base, data, tmp_path):
    options = dataclasses.replace(OPTIONS, output=tmp_path / "run", minutes=0.05)
    job = prepare_finetuning(base, data, options)
    assert job.plan.steps == job.material.config.run.steps >= 1
    assert job.plan.minutes == job.material.config.run.minutes > 0
    assert "minutes" in job.plan.describe()[0]
    assert job.plan.step_seconds > 0
    with pytest.raises(eff.Cancelled):
        job.run(cancel=_after_steps(tmp_path / "run", 1))
    again = prepare_finetuning(base, data, dataclasses.replace(options, resume=True))
    assert again.material.config == job.material.config
    assert again.run().steps >= 1


def test_validations_are_seen_as_they_come(whole):
    assert [count for count, _ in whole.seen] == [1, 2, 3, 4]
    assert set(whole.seen[0][1]) == {"ball"}


def test_no_minutes_are_none(base, data):
    with pytest.raises(eff.ConfigError, match="more than 0"):
        FinetuneOptions(minutes=0)
