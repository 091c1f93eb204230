"""What the user chose is kept in the scene."""

import json

from EffSegLib.Parameter import SERVER, Parameters, read_parameters, write_parameters

from .nodes import add_volume


def new_node(scene):
    return scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "EffSeg")


def test_a_new_node_holds_the_defaults(scene):
    assert read_parameters(new_node(scene)) == Parameters()


def test_what_is_written_is_read(scene):
    volume, flair = add_volume(scene), add_volume(scene, name="flair")
    chosen = Parameters(
        volume=volume.GetID(),
        channels=(("flair", flair.GetID()), ("t2", "")),
        model="bright",
        engine=SERVER,
        url="https://gpu:8765",
        all_times=True,
        statistics=False,
        plane="coronal",
    )
    node = new_node(scene)
    write_parameters(node, chosen)
    assert read_parameters(node) == chosen


def test_a_choice_can_be_taken_back(scene):
    node, volume = new_node(scene), add_volume(scene)
    write_parameters(node, Parameters(volume=volume.GetID(), model="bright"))
    write_parameters(node, Parameters())
    assert read_parameters(node) == Parameters()


def test_a_node_that_is_deleted_is_no_longer_chosen(scene):
    node, volume = new_node(scene), add_volume(scene)
    write_parameters(node, Parameters(volume=volume.GetID()))
    scene.RemoveNode(volume)
    assert read_parameters(node).volume == ""


def test_values_of_another_kind_are_not_believed(scene):
    node = new_node(scene)
    node.SetParameter("EffSeg.Parameters", json.dumps({"all_times": "yes", "model": 3, "channels": 5}))
    assert read_parameters(node) == Parameters()
    node.SetParameter("EffSeg.Parameters", "{broken")
    assert read_parameters(node) == Parameters()


def test_no_key_of_a_server_is_kept(scene):
    assert "key" not in {name.lower() for name in Parameters.__dataclass_fields__}
