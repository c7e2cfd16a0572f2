"""What the tests of the runtime share."""

from __future__ import annotations

import pytest

from tests.runtime.certificates import share_pair


@pytest.fixture(scope="session", autouse=True)
def _certificate(tmp_path_factory: pytest.TempPathFactory) -> None:
    """In a directory that pytest removes."""
    share_pair(tmp_path_factory.mktemp("certificate"))
