"""Hash functions: hexadecimal digits of a text's (or byte string's) digest."""

from __future__ import annotations

from streamsql.datatypes import CHAR, VARCHAR
from streamsql.errors import UnsupportedError

from .base import Compile, FunctionDef, Invocation, scalar

CATEGORY = "hash"
_BY_LENGTH = {224: "streamsql_sha224", 256: "sha256", 384: "streamsql_sha384", 512: "streamsql_sha512"}


def _digest(function: str) -> Compile:
    def compile_(inv: Invocation) -> str:
        value = inv.args[0]
        if function.startswith("streamsql_") and inv.types[0].is_string:
            value = f"encode({value})"
        return f"{function}({value})"

    return compile_


def _sha2(inv: Invocation) -> str:
    length = inv.constant(1)
    if length not in _BY_LENGTH:
        raise UnsupportedError(
            f"SHA2 with length {inv.call.args[1].text()} is not supported",
            hint="use a constant: 224, 256, 384 or 512",
        )
    assert isinstance(length, int)
    return _digest(_BY_LENGTH[length])(inv)


def _hash(name: str, function: str, digits: int) -> FunctionDef:
    return scalar(name, CATEGORY, "(TEXT)", CHAR(digits), _digest(function),
                  f"The {name} digest in {digits} hexadecimal digits.")  # fmt: skip


FUNCTIONS: tuple[FunctionDef, ...] = (
    _hash("MD5", "md5", 32),
    _hash("SHA1", "sha1", 40),
    _hash("SHA224", "streamsql_sha224", 56),
    _hash("SHA256", "sha256", 64),
    _hash("SHA384", "streamsql_sha384", 96),
    _hash("SHA512", "streamsql_sha512", 128),
    scalar("SHA2", CATEGORY, "(TEXT, INT)", VARCHAR(128), _sha2, "The SHA-2 digest of that many bits."),
)
