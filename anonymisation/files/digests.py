"""SHA-256 checksums of bytes, names and files."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256_of(data: bytes) -> str:
    """The SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def name_digest(name: str) -> str:
    """The 16 hexadecimal digits that replace a name in paths and URLs, whatever characters it has."""
    return sha256_of(name.encode("utf-8", "surrogateescape"))[:16]


def short_digest(data: bytes) -> str:
    """The 32 hexadecimal digits by which the state of a picture recognises a file that was written or found sound."""
    return sha256_of(data)[:32]


def is_short_digest(digest: str, data: bytes) -> bool:
    """Whether the digest is that of `data`: of `short_digest`, or half as long, as the state of a mask was before."""
    return len(digest) in (16, 32) and short_digest(data).startswith(digest)


def sha256_of_file(path: Path) -> str:
    """The SHA-256 of a file's bytes as 64 hexadecimal digits, read in pieces; follows links."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
