"""Training sets: the features of their time, every identifier hashed under a secret key."""

import hmac
import os
from datetime import timedelta
from hashlib import sha256
from random import Random
from shutil import copytree

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast_copy import ROOT, run
from feast_households import (
    DAY,
    FEATURES,
    HOUSEHOLDS,
    LEAKY,
    PAST,
    PRESENT,
    SERVICE,
    TTL,
    UNKNOWN,
    VIEW,
    at,
    entity_frame,
    expected,
    profiles,
)
from oracle import MICROSECOND, ZEROS

from feature_access.training.hashing import HASH_KEY_VARIABLE, hash_key_from
from storage.errors import RefusedError

pytest_plugins = ["feast_repository"]

KEY = b"a key of the tests alone"
SECOND = timedelta(seconds=1)
SCRIPT = "scripts/build_training_set.py"


def hmac_sha256(identifier: int, key: bytes = KEY) -> str:
    """RFC 2104 by hand: H((K ^ opad) || H((K ^ ipad) || text))."""
    block = key.ljust(64, b"\0")
    inner = sha256(bytes(b ^ 0x36 for b in block) + str(identifier).encode()).digest()
    return sha256(bytes(b ^ 0x5C for b in block) + inner).hexdigest()


def build(store, entities, key=KEY):
    from feature_access.training.training_set import build_training_set

    return build_training_set(store, SERVICE, entities, key)


def test_the_hash_by_hand_is_the_standard_one():
    assert hmac_sha256(42) == hmac.new(KEY, b"42", "sha256").hexdigest()


def test_rows_keep_their_order_labels_and_features_and_lose_their_ids(store, log):
    random = Random(5)
    customers = random.choices([*HOUSEHOLDS, UNKNOWN], k=5_000)
    asked = [(c, PRESENT - random.randrange(300 * DAY // SECOND) * SECOND) for c in customers]
    entities = entity_frame(asked).assign(churned=range(5_000))

    rows = build(store, entities).rows

    assert sorted(rows.column_names) == sorted([*entities.columns, *FEATURES])
    assert rows["churned"].to_pylist() == list(range(5_000))
    assert rows["event_timestamp"].to_pylist() == [moment for _, moment in asked]
    assert list(profiles(rows.to_pydict())) == expected(log, asked)
    assert rows["customer_id"].to_pylist() == [hmac_sha256(customer) for customer, _ in asked]


def test_a_frame_in_arrow_and_in_pandas_give_the_same_bytes_on_any_number_of_threads(
    store, tmp_path, monkeypatch
):
    random = Random(6)
    asked = [
        (random.choice(HOUSEHOLDS), PRESENT - random.randrange(300 * DAY // SECOND) * SECOND)
        for _ in range(200_000)
    ]
    frame = entity_frame(asked).assign(churned=range(len(asked)))
    whole = pa.Table.from_pandas(frame)
    pieces = pa.concat_tables([whole.slice(i, 999) for i in range(0, len(asked), 999)])
    connect, written = duckdb.connect, []
    for threads, entities in ((1, frame), (2, whole), (7, pieces)):
        monkeypatch.setattr(duckdb, "connect", lambda n=threads: connect(config={"threads": n}))
        pq.write_table(build(store, entities).rows, tmp_path / "rows.parquet")
        written.append((tmp_path / "rows.parquet").read_bytes())
    assert len({*written}) == 1


def test_features_come_by_name_after_the_callers_columns(store):
    entities = entity_frame(at(PRESENT, [LEAKY])).assign(churned=[1])
    names = build(store, entities).rows.column_names
    assert names == ["customer_id", "event_timestamp", "churned", *sorted(FEATURES)]


def test_no_column_holds_a_raw_identifier(store, tmp_path):
    customers = [918_273_645_001 + i for i in range(100)]
    rows = build(store, entity_frame(at(PRESENT, customers))).rows
    cells = {cell for column in rows.columns for cell in column.to_pylist()}
    assert not cells & (set(customers) | set(map(str, customers)))
    assert {hmac_sha256(customer) for customer in customers} <= cells

    pq.write_table(rows, tmp_path / "rows.parquet", compression="none", use_dictionary=False)
    written = (tmp_path / "rows.parquet").read_bytes()
    assert not [c for c in customers if str(c).encode() in written]
    assert not [c for c in customers if c.to_bytes(8, "little") in written]


def test_the_key_makes_the_hash(store):
    entities = entity_frame(at(PRESENT, [1, 2, 1]))
    ours, again, theirs = (
        build(store, entities, key).rows["customer_id"].to_pylist()
        for key in (KEY, KEY, b"another key, as long")
    )
    assert ours == again == [hmac_sha256(1), hmac_sha256(2), hmac_sha256(1)]
    assert not set(ours) & set(theirs)


def test_matched_counts_rows_that_found_a_value_before_defaults(store, log):
    too_early = (LEAKY, PRESENT - DAY - MICROSECOND)
    asked = [*at(PRESENT, [*HOUSEHOLDS, UNKNOWN, UNKNOWN]), too_early]
    stamps = {c: [row.event_timestamp for row in log.of_customer[c]] for c, _ in asked}
    known = sum(any(t - TTL <= s <= t for s in stamps[c]) for c, t in asked)
    zeros = expected(log, asked).count(ZEROS)
    assert len(asked) - zeros < known < len(asked)  # some found zeros: they are known all the same
    assert build(store, entity_frame(asked)).matched == {VIEW: known}


@pytest.mark.parametrize(("labels_each", "in_a_dictionary"), [(1, False), (10, True)])
def test_a_hash_is_written_once_where_that_saves_anything(
    labels_each, in_a_dictionary, store, tmp_path
):
    customers = [9_000_000 + i for i in range(500) for _ in range(labels_each)]
    built = build(store, entity_frame(at(PRESENT, customers)))
    built.write(file := tmp_path / "rows.parquet")
    told = pq.read_metadata(file).row_group(0)
    ids = told.column(built.encoded.schema.get_field_index("customer_id"))
    assert ids.has_dictionary_page is in_a_dictionary
    assert (ids.total_compressed_size < 70 * 500 * labels_each / 2) is in_a_dictionary
    assert pq.read_table(file).equals(built.rows)
    assert built.rows["customer_id"].to_pylist() == list(map(hmac_sha256, customers))


def test_a_null_identifier_stays_null_with_defaults(store):
    ids = pd.array([LEAKY, None, LEAKY], dtype="Int64")
    built = build(store, pd.DataFrame({"customer_id": ids, "event_timestamp": PRESENT}))
    assert built.rows["customer_id"].to_pylist() == [hmac_sha256(LEAKY), None, hmac_sha256(LEAKY)]
    assert list(profiles(built.rows.to_pydict())) == [PAST, ZEROS, PAST]
    assert built.matched == {VIEW: 2}


def test_a_null_beside_it_does_not_change_an_identifiers_hash(store):
    # pandas turns a column of integers with one null into floats.
    built = build(store, entity_frame(at(PRESENT, [LEAKY, None])))
    assert built.rows["customer_id"].to_pylist() == [hmac_sha256(LEAKY), None]


def test_an_empty_frame_is_an_empty_training_set(store):
    entities = entity_frame(at(PRESENT, [LEAKY]))[:0]
    built = build(store, entities)
    assert (built.rows.num_rows, built.matched) == (0, {VIEW: 0})
    assert built.rows.schema.field("customer_id").type == pa.string()


@pytest.mark.parametrize(
    "environment", [{}, {HASH_KEY_VARIABLE: ""}, {HASH_KEY_VARIABLE: "x" * 15}]
)
def test_an_absent_or_short_key_is_refused_by_name(environment):
    with pytest.raises(RefusedError, match="FEATURE_STORE_HASH_KEY"):
        hash_key_from(environment)


def test_a_key_of_sixteen_characters_is_taken_as_it_is():
    assert hash_key_from({HASH_KEY_VARIABLE: "sixteen letters."}) == b"sixteen letters."


@pytest.fixture
def build_from_the_command_line(fresh, tmp_path):
    """The job, run in a repository of its own; its target lies in an otherwise empty folder."""
    entities = tmp_path / "entities.parquet"
    entity_frame(at(PRESENT, [UNKNOWN, LEAKY])).to_parquet(entities)
    copytree(ROOT / "contracts", fresh / "contracts", dirs_exist_ok=True)
    consumer = ("--consumer", "ML Platform")
    target = tmp_path / "out" / "training_set.parquet"

    def job(**environment: str):
        inherited = {k: v for k, v in os.environ.items() if k != HASH_KEY_VARIABLE}
        # The project is installed in place, so only PYTHONPATH leads to the copy's modules.
        env = inherited | {"PYTHONPATH": str(fresh)} | environment
        command = (SCRIPT, str(entities), str(target), *consumer)
        return run(fresh, "python", *command, env=env), target

    return job


@pytest.mark.parametrize("environment", [{}, {HASH_KEY_VARIABLE: "short"}])
def test_the_job_without_a_key_exits_2_and_writes_nothing(build_from_the_command_line, environment):
    done, target = build_from_the_command_line(**environment)
    assert done.returncode == 2, done.stderr
    assert HASH_KEY_VARIABLE in done.stderr
    assert "Traceback" not in done.stderr
    assert not target.parent.exists()


def test_the_job_writes_hashed_rows_in_order(build_from_the_command_line):
    done, target = build_from_the_command_line(**{HASH_KEY_VARIABLE: KEY.decode()})
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(target)
    assert rows["customer_id"].to_pylist() == [hmac_sha256(UNKNOWN), hmac_sha256(LEAKY)]
    assert list(profiles(rows.to_pydict())) == [ZEROS, PAST]
    assert "1 of them known" in done.stdout


def test_an_identifier_that_is_a_fraction_is_refused(store):
    with pytest.raises(ValueError, match="row 1: holds a float that is no whole number"):
        build(store, entity_frame(at(PRESENT, [1.5])))


def test_an_identifier_of_another_type_is_refused_in_words(store):
    with pytest.raises(ValueError, match="customer_id is declared Int64, and row 1"):
        build(store, entity_frame(at(PRESENT, ["one"])))


def test_a_time_without_a_unit_is_refused(store):
    frame = entity_frame(at(PRESENT, [LEAKY])).assign(event_timestamp=1_511_737_200)
    with pytest.raises(ValueError, match="name no unit"):
        build(store, frame)


def test_an_unknown_service_is_refused_with_those_there_are(store):
    from feature_access.training.training_set import build_training_set

    with pytest.raises(RefusedError, match="customer_profile, customer_profile_v1"):
        build_training_set(store, "nope", entity_frame(at(PRESENT, [LEAKY])), KEY)
