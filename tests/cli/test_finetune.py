"""`effseg finetune`: the plan, the scores, the card; Ctrl-C and going on; refusals in one line."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from napari_effseg import load, load_labels
from tests.training.balls import ball_card, ball_folder

from .conftest import Command
from .test_json_docs import NAMED, keys_of


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    return ball_folder(tmp_path / "my cases")


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = ball_card(tmp_path / "base").path
    assert path is not None
    return path


def test_the_plan_comes_first_and_the_card_is_used_at_once(
    effseg: Command, card: Path, cases: Path, tmp_path: Path
) -> None:
    run, scores, found = tmp_path / "run", tmp_path / "scores.json", tmp_path / "found.nii.gz"
    options = ("--steps", 30, "--learning-rate", 0.01, "--device", "cpu", "--json", scores)
    ran = effseg("finetune", card, cases, "-o", run, *options)
    assert ran.code == 0
    assert "at most 30 steps" in ran.err.splitlines()[0]
    assert "GB" in ran.err.splitlines()[0]
    assert ran.out.splitlines()[1].split() == ["structure", "before", "after"]
    document = json.loads(scores.read_text(encoding="utf-8"))
    assert set(keys_of(document)) <= NAMED
    assert document["mean"]["after"] > document["mean"]["before"]
    image = cases / "images" / "ball_0.nii.gz"
    assert effseg("segment", image, "-m", document["card"], "-o", found).code == 0
    assert load_labels(found).shape == load(image).shape


def test_weights_that_are_not_better_are_said_even_when_quiet(
    effseg: Command, card: Path, cases: Path, tmp_path: Path
) -> None:
    options = ("--steps", 1, "--learning-rate", 1e-12, "--device", "cpu", "--quiet")
    ran = effseg("finetune", card, cases, "-o", tmp_path / "run", *options)
    assert ran.code == 0
    assert ran.out == ""
    assert "not better" in ran.err
    assert not (tmp_path / "run" / "card.toml").exists()


def test_minutes_and_steps_exclude_each_other(
    effseg: Command, card: Path, cases: Path, tmp_path: Path
) -> None:
    ran = effseg("finetune", card, cases, "-o", tmp_path / "run", "--minutes", 1, "--steps", 2)
    assert ran.code == 2
    assert "give one of them" in ran.err
    assert not (tmp_path / "run").exists()


def test_ctrl_c_keeps_the_checkpoint_and_resume_goes_on(
    effseg: Command, card: Path, cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_effseg.training.loop import Trainer

    step = Trainer._step

    def pressed(trainer: Trainer, *arguments: Any) -> float:
        if trainer.state.step == 1:
            signal.raise_signal(signal.SIGINT)
        return step(trainer, *arguments)

    command = ("finetune", card, cases, "-o", tmp_path / "run", "--steps", 3, "--device", "cpu")
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_step", pressed)
        ran = effseg(*command)
    assert ran.code == 3
    assert "--resume" in ran.err
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    ran = effseg(*command, "--resume")
    assert ran.code == 0
    assert "after 3 steps" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ballz", "{cases}"], "no model is called 'ballz'"),
        (["{card}", "nowhere"], "dataset.json"),
        (["{card}", "{cases}", "--label", "1"], "N=NAME"),
        (["{card}", "{cases}", "--label", "1=bal"], "Did you mean ball"),
        (["{card}", "{cases}", "--held-back", "2"], "less than 1"),
        (["{card}", "{cases}", "--steps", "0"], "at least 1"),
        (["{card}", "{cases}", "--freeze", "decoder"], "all-but-head"),
        (["{card}", "{cases}", "--device", "cuda:99"], "cuda"),
        (["{card}", "{cases}", "--json", "missing/scores.json"], "does not exist"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line_and_nothing_is_written(
    effseg: Command, card: Path, cases: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    words = [word.format(card=card, cases=cases) for word in arguments]
    ran = effseg("finetune", *words, "-o", tmp_path / "run")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert said in ran.err
    assert not (tmp_path / "run").exists()


def test_help_shows_an_example(effseg: Command) -> None:
    assert "Example: effseg finetune hippocampus-lightm-unet" in effseg("finetune", "--help").out
