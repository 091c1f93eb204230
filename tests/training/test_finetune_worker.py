"""The finetuning that a window steers: what it is told and what it says, line by line."""

import io
import json
import queue
import subprocess
import sys

import pytest

from napari_effseg.training.finetune.worker import Wire, serve

from .balls import ball_card, ball_folder


class Talk:
    """A worker in this process, and somebody who answers what it says."""

    def __init__(self, answer=lambda talk, said: None):
        self._answer, self.said = answer, []
        self._commands = queue.Queue()

    def tell(self, **command):
        self._commands.put(json.dumps(command) + "\n")

    def end(self):
        self._commands.put(None)

    def write(self, line):  # what the worker says
        said = json.loads(line)
        self.said.append(said)
        self._answer(self, said)

    def flush(self):
        pass

    def serve(self):
        serve(Wire(iter(self._commands.get, None), self))
        self.end()
        return self.said[-1]


@pytest.fixture
def asked(tmp_path):
    card, data = ball_card(tmp_path / "base"), ball_folder(tmp_path / "data")
    options = {"output": str(tmp_path / "run"), "steps": 4, "learning_rate": 0.01, "device": "cpu"}
    return {"do": "prepare", "model": str(card.path), "dataset": str(data), "options": options}


def test_it_says_the_plan_waits_and_then_runs(asked, tmp_path):
    talk = Talk(lambda talk, said: said["said"] == "planned" and talk.tell(do="run"))
    talk.tell(**asked)
    done = talk.serve()
    plan = next(said for said in talk.said if said["said"] == "planned")
    assert plan["steps"] == 4
    assert plan["step_seconds"] > 0
    assert plan["memory_bytes"] > 0
    assert plan["held_back"] == ["ball_2"]
    assert plan["licence"] == "CC0-1.0"
    assert plan["learning"].startswith("learning: ")
    assert done["said"] == "done"
    assert set(done["before"]["labels"]) == {"ball"}
    points = [said for said in talk.said if said["said"] == "points"]
    assert points[-1]["points"][-1]["step"] == 4
    assert (tmp_path / "run" / "checkpoint.pt").is_file()


def test_a_stop_keeps_the_checkpoint(asked, tmp_path):
    def answer(talk, said):
        if said["said"] == "planned":
            talk.tell(do="run")
        elif said["said"] == "points":
            talk.tell(do="stop")

    asked["options"] |= {"steps": 50}
    talk = Talk(answer)
    talk.tell(**asked)
    assert talk.serve()["kind"] == "cancelled"
    assert (tmp_path / "run" / "checkpoint.pt").is_file()


def test_nothing_runs_before_it_is_told_and_the_end_of_the_input_stops_it(asked, tmp_path):
    talk = Talk(lambda talk, said: said["said"] == "planned" and talk.end())
    talk.tell(**asked)
    assert talk.serve()["kind"] == "cancelled"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"model": "nothing-such"}, "refused", "no model is called"),
        ({"options": {"steps": 0}}, "refused", "at least 1"),
        ({"options": {"nonsense": 0}}, "fault", "TypeError"),
    ],
)
def test_trouble_is_told_with_its_kind(asked, changes, kind, message):
    talk = Talk()
    talk.tell(**{**asked, **changes})
    failed = talk.serve()
    assert failed["kind"] == kind
    assert message in failed["message"]
    assert bool(failed["details"]) == (kind == "fault")


def test_a_listener_that_is_gone_is_a_stop():
    class Gone(io.StringIO):
        def flush(self):
            raise BrokenPipeError

    commands = queue.Queue()
    wire = Wire(iter(commands.get, None), Gone())
    wire.say("progress", fraction=0.5, message="somebody?")
    assert wire.is_stopped()
    commands.put(None)


def test_as_a_process_it_says_nothing_but_its_lines(asked):
    command = [sys.executable, "-m", "napari_effseg.training.finetune.worker"]
    asked["model"] = "nothing-such"
    lines = json.dumps(asked) + "\n"
    ran = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=120, check=True)
    assert [json.loads(line)["said"] for line in ran.stdout.splitlines()] == ["failed"]
