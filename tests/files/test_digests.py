from __future__ import annotations

import pytest

from anonymisation.files.digests import is_short_digest, sha256_of, short_digest


def test_a_short_digest_recognises_its_data_in_its_length_and_in_that_of_older_masks() -> None:
    digest = short_digest(b"mask")
    assert digest == sha256_of(b"mask")[:32]
    assert is_short_digest(digest, b"mask")
    assert is_short_digest(digest[:16], b"mask")


@pytest.mark.parametrize("length", [0, 1, 15, 17, 31])
def test_a_digest_of_another_length_recognises_nothing(length: int) -> None:
    assert not is_short_digest(short_digest(b"mask")[:length], b"mask")
    assert not is_short_digest(sha256_of(b"mask"), b"mask")
    assert not is_short_digest(short_digest(b"other"), b"mask")
    assert not is_short_digest(short_digest(b"other")[:16], b"mask")
