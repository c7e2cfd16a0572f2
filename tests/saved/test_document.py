from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.model import Allowance, Key, Plan, Position
from reconciler.rendering.plan_json import plan_json
from reconciler.saved import document
from reconciler.saved.document import Guarding, Origin, SavedPlan, SavedPlanError, Write
from reconciler.saved.read import plan_of
from schemas.v1.codec import parse_spec
from tests.applying.builders import IMAP, estate
from tests.rendering.values import empty_plan, every_plan, first_plan, noted_plan, plan
from tests.saved.builders import Desk


@pytest.mark.parametrize("value", [plan(), empty_plan(), first_plan(), every_plan(), noted_plan()])
def test_a_plan_reads_back_as_it_was(value: Plan) -> None:
    assert plan_of(json.loads(json.dumps(plan_json(value)))) == value


def test_a_plan_that_was_saved_before_notes_were_still_reads() -> None:
    data = json.loads(json.dumps(plan_json(noted_plan())))
    del data["changes"][0]["fields"][0]["note"]
    assert plan_of(data).changes[0].fields[0].note == ""


def test_a_file_reads_back_with_what_is_to_be_written(tmp_path: Path) -> None:
    saved = Desk(tmp_path).save(estate(imap=32))
    assert saved.writes[IMAP].spec == parse_spec("ImapSettings", {"maxConnectionsPerUser": 32})


def test_the_file_is_canonical(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.save(estate())
    content = desk.file.read_bytes()
    assert content == document.canonical(json.loads(content)) + b"\n"


def test_two_plans_of_the_same_are_two(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.save(estate()).digest != desk.save(estate()).digest


def test_secrets_are_references_and_digests(tmp_path: Path) -> None:
    password = tmp_path / "estate" / "secrets" / "alice"
    password.parent.mkdir(parents=True)
    password.write_text("correct-horse\n", encoding="utf-8")
    desk = Desk(tmp_path)
    desk.save(estate(password=password))
    text = desk.file.read_text(encoding="utf-8")
    assert "correct-horse" not in text
    assert '"location":"secrets/alice","relative":true' in text


def _certificate(tmp_path: Path) -> SavedPlan:
    files = {
        name: str(tmp_path / "a" / f"mail{end}")
        for name, end in (("certificateFile", ".crt"), ("privateKeyFile", ".key"))
    }
    write = Write(
        Key("Certificate", "ex01/mail"), parse_spec("Certificate", {**files, "services": ["IMAP"]}), {}
    )
    origin = Origin("memory", tmp_path / "a", "2026-01-01T00:00:00+00:00", "alice", "1")
    return SavedPlan(empty_plan(), {write.key: write}, origin)


def test_files_of_the_estate_move_with_it(tmp_path: Path) -> None:
    content = document.written(_certificate(tmp_path), b"key")
    assert str(tmp_path / "a" / "mail").encode() not in content
    moved = document.parse(content, "change.plan", estate=tmp_path / "b")
    (write,) = moved.writes.values()
    assert getattr(write.spec, "certificate_file") == str(tmp_path / "b" / "mail.crt")  # noqa: B009
    assert document.is_signed(moved, b"key")


def test_a_number_that_is_not_whole_is_not_written(tmp_path: Path) -> None:
    saved = _certificate(tmp_path)
    with pytest.raises(TypeError, match="not a whole number"):
        document.canonical({"number": 0.5})
    assert document.written(saved, b"key")


def test_what_it_was_held_against_reads_back_and_moves_with_the_estate(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    guarding = Guarding(
        policies=("shipped", str(a / "rules"), "/etc/rules"),
        labels={"owner": "mail"},
        environment="production",
        has_own=True,
        resources={Key("Server", "ex01"): {"site": "dublin"}},
        allowed={Key("Server", "ex01"): (Allowance("limits", "a lab", Position(Path("estate.yaml"), 4, 7)),)},
    )
    content = document.written(replace(_certificate(tmp_path), guarding=guarding), b"key")
    assert document.parse(content, "change.plan").guarding == guarding
    moved = document.parse(content, "change.plan", estate=b)
    assert moved.guarding.policies == ("shipped", str(b / "rules"), "/etc/rules")


def test_the_signature_depends_on_the_key(tmp_path: Path) -> None:
    saved = document.parse(document.written(_certificate(tmp_path), b"key"), "change.plan")
    assert document.is_signed(saved, b"key")
    assert not document.is_signed(saved, b"another key")
    assert not document.is_signed(replace(saved, digest="0" * 64), b"key")


@pytest.mark.parametrize("signature", ["é" * 64, "\ud800"])
def test_a_signature_that_is_not_ascii_is_wrong(tmp_path: Path, signature: str) -> None:
    saved = document.parse(document.written(_certificate(tmp_path), b"key"), "change.plan")
    assert not document.is_signed(replace(saved, signature=signature), b"key")


def test_a_value_that_is_refused_is_named_with_its_place(tmp_path: Path) -> None:
    content = document.written(_certificate(tmp_path), b"key").replace(b'"spec":{', b'"spec":{"oops":1,')
    with pytest.raises(SavedPlanError) as caught:
        document.parse(content, "change.plan")
    assert str(caught.value) == (
        "change.plan holds a value that this version refuses: Certificate/ex01/mail spec.oops: unknown field; "
        "make it again with `reconcile plan DIR --out FILE`"
    )


def test_what_is_damaged_is_not_printed_whole(tmp_path: Path) -> None:
    content = document.written(_certificate(tmp_path), b"key").replace(b'"alice"', b'"ali\\ud800ce"')
    with pytest.raises(SavedPlanError) as caught:
        document.parse(content, "change.plan")
    assert str(caught.value) == "change.plan is damaged (UnicodeEncodeError); plan again"


def test_a_yaml_file_is_told_from_a_plan(tmp_path: Path) -> None:
    file = tmp_path / "imap.yaml"
    file.write_text("apiVersion: reconciler/v1\n", encoding="utf-8")
    with pytest.raises(SavedPlanError) as caught:
        document.read(file)
    expected = f"{file} is a YAML file and not a saved plan; name the directory that it is in: {tmp_path}"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a saved plan"),
        (b"[]", "holds no JSON object"),
        (b'{"format": "reconciler/plan/v1"}', "is not a saved plan of this version"),
        (b'{"format": "reconciler/plan/v9", "saved": {}}', "is not a saved plan of this version"),
        (b'{"format": "reconciler/plan/v1", "saved": {}}', "is damaged"),
        (b'{"format": 1, "format": 2}', "stands there twice"),
        (b'{"format": 1.5}', "not a whole number"),
        (b'{"format": NaN}', "not a whole number"),
        (b"[" * 100_000, "is not a saved plan"),
        (b"\xff\xfe", "is not a saved plan"),
    ],
)
def test_what_is_no_plan_is_told(content: bytes, said: str) -> None:
    with pytest.raises(SavedPlanError, match=said):
        document.parse(content, "change.plan")
