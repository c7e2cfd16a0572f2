"""What the parse cache gives back of generated estates is what reading them gave."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from hypothesis import given, settings

from reconciler.declared import load as load_module
from reconciler.declared.load import load
from reconciler.targets.memory import MemoryTarget
from schemas.v1.canonical import digest_canonical
from schemas.v1.codec import digest_spec
from tests.authoring.estates import targets
from tests.authoring.test_imported import written


@settings(deadline=None, max_examples=30)
@given(targets())
def test_the_cache_gives_back_what_was_read(target: MemoryTarget) -> None:
    with TemporaryDirectory() as directory:
        estate = written(target.observe(), Path(directory, "estate"))
        cold = load(estate, cache=Path(directory, "cache")).desired
        with patch.object(load_module, "check", side_effect=AssertionError("checked again")):
            warm = load(estate, cache=Path(directory, "cache")).desired
    assert cold is not None
    assert warm is not None
    assert warm == cold
    for key, resource in warm.resources.items():
        assert warm.spec_digests[key] == digest_canonical(resource.spec) == digest_spec(resource.spec)
