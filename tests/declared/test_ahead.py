"""YAML that another process parses: the same documents, and the caller's own reading of whatever that cannot give."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import pytest

from reconciler.declared import ahead as ahead_module
from reconciler.declared import reader as reader_module
from reconciler.declared.ahead import NOT_AHEAD, Ahead, parse_all, parsed_ahead, unparsed
from reconciler.declared.cache import content_hash
from reconciler.declared.load import load
from reconciler.declared.positions import index
from reconciler.declared.reader import read
from tests.declared.builders import DATABASE, SERVER, mailbox, together, write

_YAML = [
    *Path(__file__).parent.glob("broken/**/*.yaml"),
    *Path(__file__).parents[2].glob("examples/**/*.yaml"),
]
#: No document, but enough octets.
_LONG = "# " + "x" * ahead_module.WORTH + "\n"
_ODD = """a: &one {b: [1, 2.5, true, null, 123456789012345678901234567890]}
"c d": *one
e: "\\ud7ff ☃"
"""


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    """Enough files to have them parsed elsewhere, if there is a processor for it."""
    files = {f"m{number}": together(mailbox(f"m{number}"), mailbox(f"n{number}")) for number in range(3)}
    return write(tmp_path / "estate", a=together(SERVER, DATABASE), long=_LONG, **files)


@pytest.fixture
def ahead(estate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ahead]:
    """What another process parses of them."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    with parsed_ahead(_files(estate)) as found:
        yield found


def _files(estate: Path) -> Sequence[Path]:
    return unparsed(estate / "no-cache", estate, None)


def _asked(found: Ahead, file: Path, content: bytes) -> object:
    documents = found.documents(file, content_hash(content))
    return None if documents is None else [(document.value, index(document)) for document in documents]


def _read(file: Path, content: bytes) -> object:
    documents, problems = read(content, file)
    return None if problems else [(document.value, index(document)) for document in documents]


def test_it_gives_what_reading_gives_and_nothing_of_a_file_with_problems(tmp_path: Path) -> None:
    odd = write(tmp_path, odd=_ODD) / "odd.yaml"
    files, stream = [*_YAML, odd], BytesIO()
    parse_all(map(str, files), stream)
    found = Ahead(BytesIO(stream.getvalue()), files)
    expected = [_read(file, file.read_bytes()) for file in files]
    assert [_asked(found, file, file.read_bytes()) for file in files] == expected
    assert None in expected
    assert expected[-1] is not None


def test_an_estate_means_the_same_and_is_parsed_once(
    estate: Path, ahead: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load(estate)
    monkeypatch.setattr(reader_module, "read", lambda *_: pytest.fail("it was parsed again"))
    found = load(estate, ahead=ahead)
    assert found.desired is not None
    assert expected.desired is not None
    assert found.desired.digest == expected.desired.digest
    assert [dict(one.positions) for one in found.desired.resources.values()] == [
        dict(one.positions) for one in expected.desired.resources.values()
    ]


def test_a_file_that_changed_meanwhile_is_read_as_it_is(estate: Path, ahead: Ahead) -> None:
    file = estate / "m1.yaml"
    assert _asked(ahead, estate / "a.yaml", (estate / "a.yaml").read_bytes()) is not None
    file.write_text(mailbox("other"), encoding="utf-8")
    found = load(estate, ahead=ahead).desired
    assert found is not None
    assert "other" in {key.name for key in found.resources}


def test_what_a_process_that_ends_early_leaves_is_read_here(estate: Path) -> None:
    files, stream = _files(estate), BytesIO()
    parse_all(map(str, files), stream)
    for length in (0, 1, 7, 8, 100, len(stream.getvalue()) - 1):
        cut = Ahead(BytesIO(stream.getvalue()[:length]), files)
        assert load(estate, ahead=cut).desired == load(estate).desired


def test_what_is_no_message_is_no_answer(estate: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"Something printed a greeting, and went on and on.\n" * 9)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        assert load(estate, ahead=Ahead(stream, _files(estate))).desired == load(estate).desired


def test_the_process_ends_with_whoever_asked(estate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it waits for somebody who takes what it parsed."""
    write(estate, many=together(*(mailbox(f"o{number}") for number in range(300))))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(ahead_module, "LEAD", 4096)
    process = ahead_module._started()
    monkeypatch.setattr(ahead_module, "_started", lambda: process)
    with parsed_ahead(_files(estate)):
        pass
    assert process is not None
    assert process.returncode == -signal.SIGKILL


def test_a_cache_that_one_may_not_look_at_is_none(estate: Path) -> None:
    """As another user's; a name that is too long fails in the same way for everybody."""
    assert unparsed(estate / ("x" * 300), estate, None) == ()


def test_no_room_for_a_process_is_no_error(estate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(sys, "executable", str(estate / "nothing"))
    with parsed_ahead([*_files(estate), estate / "gone.yaml"]) as found:
        assert found is NOT_AHEAD


def test_a_file_that_is_broken_is_told_with_its_place(estate: Path, ahead: Ahead) -> None:
    write(estate, m1="kind: [")
    (problem,) = load(estate, ahead=ahead).diagnostics
    assert (problem.code, problem.position and problem.position.file) == ("yaml-syntax", estate / "m1.yaml")


def test_an_error_in_a_field_is_told_once(estate: Path) -> None:
    write(estate, m1=mailbox("m1", ", imapEnabled: 7"))
    files, stream = _files(estate), BytesIO()
    parse_all(map(str, files), stream)
    found = load(estate, ahead=Ahead(BytesIO(stream.getvalue()), files))
    assert [problem.position for problem in found.diagnostics] == [
        problem.position for problem in load(estate).diagnostics
    ]
    assert len(found.diagnostics) == 1


def test_a_file_that_is_gone_is_left_to_the_caller(estate: Path) -> None:
    gone, stream = estate / "gone.yaml", BytesIO()
    parse_all([str(gone)], stream)
    assert Ahead(BytesIO(stream.getvalue()), [gone]).documents(gone, content_hash(b"")) is None


@pytest.mark.parametrize("processors", [{0}, {0, 1}])
def test_there_is_no_process_for_a_small_estate_or_a_single_processor(
    tmp_path: Path, estate: Path, monkeypatch: pytest.MonkeyPatch, processors: set[int]
) -> None:
    small = write(tmp_path / "small", a=together(SERVER, DATABASE))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: processors)
    with parsed_ahead(_files(small if len(processors) > 1 else estate)) as found:
        assert found is NOT_AHEAD


def test_what_a_former_run_parsed_is_not_parsed_ahead(estate: Path, tmp_path: Path) -> None:
    assert list(unparsed(tmp_path / "cache", estate, None)) == sorted(estate.glob("*.yaml"))
    load(estate, cache=tmp_path / "cache")
    assert unparsed(tmp_path / "cache", estate, None) == ()
