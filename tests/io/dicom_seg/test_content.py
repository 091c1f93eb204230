"""What a written SEG says: whose it is, what its segments are, who made them, what it was made from."""

from __future__ import annotations

import logging
from dataclasses import replace

import pydicom
import pytest

import napari_effseg as eff
from napari_effseg.volume import LabelMap

from .series import oblique_grid, write_series


@pytest.fixture
def seg(labels, folder, tmp_path) -> pydicom.Dataset:
    return pydicom.dcmread(eff.save(labels, tmp_path / "seg.dcm", reference=folder))


@pytest.fixture
def source(folder) -> pydicom.Dataset:
    return pydicom.dcmread(next(folder.iterdir()))


def code(sequence) -> tuple[str, str]:
    return sequence[0].CodingSchemeDesignator, sequence[0].CodeValue


def test_it_is_a_binary_segmentation_of_its_own_series(seg, source):
    assert seg.SOPClassUID == pydicom.uid.SegmentationStorage
    assert (seg.Modality, seg.SegmentationType, seg.BitsAllocated) == ("SEG", "BINARY", 1)
    assert (seg.InstanceNumber, seg.SeriesNumber) == (1, 1004)
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID
    assert "hippocampus-lightm-unet" in seg.SeriesDescription


def test_patient_and_study_are_those_of_the_series(seg, source):
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID"):
        assert seg[keyword].value == source[keyword].value
    for keyword in ("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"):
        assert seg[keyword].value == source[keyword].value
    assert seg.FrameOfReferenceUID == source.FrameOfReferenceUID


def test_the_side_modifies_the_type(seg):
    kind = seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence
    assert code(kind) == ("SCT", "5366008")
    assert code(kind[0].SegmentedPropertyTypeModifierCodeSequence) == ("SCT", "7771000")
    other = seg.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0]
    assert code(other.SegmentedPropertyTypeModifierCodeSequence) == ("SCT", "24028007")


def test_lesions_are_abnormal_structures_and_organs_anatomical_ones(seg):
    categories = [code(s.SegmentedPropertyCategoryCodeSequence) for s in seg.SegmentSequence]
    assert categories[:2] == [("SCT", "123037004"), ("SCT", "49755003")]


def test_the_model_is_named_as_the_algorithm(seg):
    segment = seg.SegmentSequence[0]
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert segment.SegmentAlgorithmName == "hippocampus-lightm-unet"
    identification = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert identification.AlgorithmVersion == "0.1.0, weights 0123456789ab"


def test_labels_of_unknown_origin_are_not_called_automatic(labels, folder, tmp_path):
    path = eff.save(replace(labels, made_by=None), tmp_path / "seg.dcm", reference=folder)
    segment = pydicom.dcmread(path).SegmentSequence[0]
    assert (segment.SegmentAlgorithmType, segment.SegmentAlgorithmName) == ("SEMIAUTOMATIC", "not stated")
    assert eff.load_labels(path).made_by is None


def test_every_frame_refers_to_the_slice_that_it_lies_on(seg, folder):
    by_uid = {image.SOPInstanceUID: image for image in map(pydicom.dcmread, folder.iterdir())}
    for group in seg.PerFrameFunctionalGroupsSequence:
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        image = by_uid[source.ReferencedSOPInstanceUID]
        assert source.ReferencedSOPClassUID == image.SOPClassUID
        assert group.PlanePositionSequence[0].ImagePositionPatient == image.ImagePositionPatient
    referenced = seg.ReferencedSeriesSequence[0]
    assert {one.ReferencedSOPInstanceUID for one in referenced.ReferencedInstanceSequence} == by_uid.keys()


def test_nothing_else_that_is_known_of_the_patient_is_taken_over(labels, tmp_path):
    more = {"PatientComments": "lives alone", "PatientAddress": "Hauptstr. 1", "InstitutionName": "Klinik"}
    series = write_series(tmp_path / "series", oblique_grid(), **more)
    seg = pydicom.dcmread(eff.save(labels, tmp_path / "seg.dcm", reference=series))
    assert not any(keyword in seg for keyword in more)


def test_patient_data_are_neither_logged_nor_said(labels, tmp_path, caplog, recwarn):
    odd = {"PatientName": "Erika Muster", "PatientSex": "WEIBL", "PatientBirthDate": "1.1.1970"}
    with pydicom.config.disable_value_validation():
        series = write_series(tmp_path / "series", oblique_grid(), StudyDate="yesterday", **odd)
    with caplog.at_level(logging.DEBUG):
        eff.load_labels(eff.save(labels, tmp_path / "seg.dcm", reference=series))
    said = caplog.text + " ".join(str(warning.message) for warning in recwarn)
    assert not any(value in said for value in (*odd.values(), "yesterday", "secret-4711", "Muster"))


def test_the_source_files_are_not_touched(labels, folder, tmp_path):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    eff.save(labels, tmp_path / "seg.dcm", reference=folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


# --- headers that lack something ---


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ("PatientBirthDate", "Patient's Birth Date; left empty"),
        ("PatientSex", "Patient's Sex; left empty"),
        ("PatientID", "Patient ID; left empty"),
        ("PatientName", "Patient's Name; left empty"),
        ("StudyID", "Study ID; left empty"),
        ("StudyDate", "Study Date; left empty"),
        ("StudyTime", "Study Time; left empty"),
        ("AccessionNumber", "Accession Number; left empty"),
        ("ReferringPhysicianName", "Referring Physician's Name; left empty"),
        ("FrameOfReferenceUID", "Frame of Reference UID; one was derived"),
    ],
)
def test_what_the_header_lacks_is_completed_and_said(labels, tmp_path, keyword, said):
    series = write_series(tmp_path / "series", oblique_grid(), **{keyword: None})
    with pytest.warns(eff.ExportWarning, match=said):
        path = eff.save(labels, tmp_path / "seg.dcm", reference=series)
    seg = pydicom.dcmread(path)
    assert keyword in seg
    assert eff.load_labels(path).names == labels.names


@pytest.mark.parametrize(
    "keyword", ["SeriesNumber", "InstanceNumber", "SliceThickness", "ImageType", "Modality"]
)
def test_what_a_seg_does_not_need_may_be_missing(labels, tmp_path, keyword):
    series = write_series(tmp_path / "series", oblique_grid(), **{keyword: None})
    assert eff.save(labels, tmp_path / "seg.dcm", reference=series).exists()


def test_the_derived_frame_of_reference_is_the_same_for_all_results_of_a_series(labels, tmp_path):
    series = write_series(tmp_path / "series", oblique_grid(), FrameOfReferenceUID=None)
    with pytest.warns(eff.ExportWarning):
        paths = [eff.save(labels, tmp_path / name, reference=series) for name in ("a.dcm", "b.dcm")]
    first, second = (pydicom.dcmread(path) for path in paths)
    assert first.FrameOfReferenceUID == second.FrameOfReferenceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


@pytest.mark.parametrize("declared", ["", "ISO_IR 999"])
def test_a_character_set_that_is_empty_or_unknown_is_mended(labels, tmp_path, declared):
    series = write_series(
        tmp_path / "series", oblique_grid(), SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg"
    )
    for file in series.iterdir():
        file.write_bytes(file.read_bytes().replace(b"ISO_IR 100", declared.ljust(10).encode()))
    with pytest.warns(eff.ExportWarning, match="character set is empty or unknown"):
        path = eff.save(labels, tmp_path / "seg.dcm", reference=series)
    seg = pydicom.dcmread(path)
    assert seg.SpecificCharacterSet == "ISO_IR 192"
    assert str(seg.PatientName) == "Müller^Jörg"
    assert seg.SegmentSequence[1].SegmentLabel.startswith("Größe")


@pytest.mark.parametrize(
    ("character_set", "name"),
    [("ISO_IR 100", "Müller^Jörg"), ("ISO_IR 126", "Διονυσιος"), ("ISO_IR 192", "Wang^XiaoDong=王^小东")],
)
def test_names_in_other_character_sets_keep_their_letters(labels, tmp_path, character_set, name):
    series = write_series(
        tmp_path / "series", oblique_grid(), SpecificCharacterSet=character_set, PatientName=name
    )
    seg = pydicom.dcmread(eff.save(labels, tmp_path / "seg.dcm", reference=series))
    assert str(seg.PatientName) == name


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_a_series_that_nothing_could_refer_to_is_refused(labels, tmp_path, keyword):
    series = write_series(tmp_path / "series", oblique_grid((9, 11, 1)), **{keyword: ""})
    for path in series.iterdir():  # the file's own header names the instance, too
        image = pydicom.dcmread(path)
        image.file_meta.MediaStorageSOPInstanceUID = "" if keyword == "SOPInstanceUID" else "1.2.3"
        image.save_as(path, enforce_file_format=False)
    one = LabelMap(labels.data[:, :, 4:5], oblique_grid((9, 11, 1)).affine)
    with pytest.raises(eff.ExportError, match=r"has no \w+ Instance UID"):
        eff.save(one, tmp_path / "seg.dcm", reference=series)
