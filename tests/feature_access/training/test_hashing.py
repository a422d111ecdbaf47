"""Identifiers hashed as the standard library's HMAC has it, in this process and in another."""

import hmac
from collections.abc import Callable
from decimal import Decimal
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_access.training import hashing, keyed_digests
from feature_access.training.hashing import hashed, hashed_once

integers, texts = st.integers(-(2**63), 2**63 - 1), st.text(st.characters(codec="utf-8"))
identifiers = st.lists(integers | st.none(), max_size=20) | st.lists(texts | st.none(), max_size=20)
keys = st.binary(max_size=200)  # a block of SHA-256 has 64 bytes


def chunks(values: list, cut: int) -> pa.ChunkedArray:
    kind = pa.string() if any(isinstance(value, str) for value in values) else pa.int64()
    return pa.chunked_array([pa.array(part, kind) for part in (values[:cut], values[cut:])])


def standard(value: object, key: bytes) -> str | None:
    return None if value is None else hmac.digest(key, str(value).encode(), "sha256").hex()


def hold_to_the_standard(values: list, key: bytes, cut: int) -> None:
    answer = hashed(chunks(values, cut), key)
    assert answer.type == pa.string()
    assert answer.to_pylist() == [standard(value, key) for value in values]
    held = hashed_once(chunks(values, cut), key).dictionary
    assert len(held) == len({*values} - {None})


@given(identifiers, keys, st.integers(0, 20))
def test_a_hash_is_the_standard_ones(values: list, key: bytes, cut: int) -> None:
    hold_to_the_standard(values, key, cut)


@pytest.mark.parametrize("key", [b"sixteen or more characters", bytes(64), b"x" * 65])
@pytest.mark.parametrize(
    "values", [[7, None, -7, 7, 2**63 - 1], ["", "a\nb", "héron", None, ""], [None], []]
)
def test_in_a_process_of_its_own_it_is_the_same(values: list, key: bytes) -> None:
    with patch.object(hashing, "_WORTH_A_PROCESS", 0):
        hold_to_the_standard(values, key, 2)


def test_many_go_to_that_process() -> None:
    many = list(range(hashing._WORTH_A_PROCESS))
    with patch.object(hashing, "Popen", side_effect=hashing.Popen) as begun:
        hold_to_the_standard(many, b"a key of the tests alone", 9)
        hold_to_the_standard(many[1:], b"a key of the tests alone", 9)
    commands = [call.args[0] for call in begun.call_args_list]
    assert len(commands) == 2  # of the first alone, which is asked for twice
    assert all("a key of the tests alone" not in " ".join(command) for command in commands)


@pytest.mark.parametrize("other", [[True, False], [1.5, None], [b"1"], [Decimal("1.00")]])
def test_what_is_neither_a_whole_number_nor_a_text_has_no_hash(other: list) -> None:
    with pytest.raises(TypeError, match="no identifier is a"):
        hashed(pa.chunked_array([pa.array(other)]), b"a key of the tests alone")


def test_a_process_that_dies_leaves_no_hashes(tmp_path, monkeypatch) -> None:
    dies = tmp_path / "dies.py"
    dies.write_text("import sys; sys.stdin.buffer.read(); sys.exit(3)", encoding="utf-8")
    monkeypatch.setattr(keyed_digests, "__file__", str(dies))
    monkeypatch.setattr(hashing, "_WORTH_A_PROCESS", 0)
    asked: Callable = lambda: hashed(chunks([1, 2], 1), b"key")  # noqa: E731
    with pytest.raises(RuntimeError, match="ended with 3"):
        asked()
