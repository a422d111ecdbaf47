"""Redis killed, restarted, flushed or hung amid a refresh: an error, no zeros, then a repair."""

import pytest
from feast_households import AGED, HOUR, HOUSEHOLDS, LEAKY, PRESENT, UNKNOWN, VIEW, at, expected
from online_readers import keys, opened, told
from oracle import ZEROS
from redis_server import PATIENT, on_redis

pytest_plugins = ["feast_repository", "feast_online"]

EVERYBODY = [*HOUSEHOLDS, LEAKY, AGED, UNKNOWN, 0, -5]
ONCE = PATIENT + ",retry=null"
QUICK = ",socket_timeout=1,socket_connect_timeout=30,retry=null"
"""For what hangs: or a job would wait for it half a minute."""


def restart_empty(server) -> None:
    server.kill()
    server.start()


FAULTS = {
    "killed": (lambda server: server.kill(), "OnlineStoreDownError", "failed while"),
    "restarted empty": (restart_empty, "OnlineStoreEmptyError", "lost what it held"),
    "flushed": (lambda server: server.flush(), "OnlineStoreEmptyError", "lost what it held"),
    "hung": (lambda server: server.hang(), "OnlineStoreDownError", "failed while"),
}


def amid_a_write(monkeypatch, fault) -> None:
    """Write in chunks of a hundred, and let the fault happen once, before the fourth."""
    from feature_access.online_stores import redis_writer

    write = redis_writer.RedisWriter._write
    chunks: list[int] = []

    def counted(self, rows):
        chunks.append(len(rows))
        if len(chunks) == 4:
            fault()
        write(self, rows)

    monkeypatch.setattr(redis_writer, "_CHUNK", 100)
    monkeypatch.setattr(redis_writer.RedisWriter, "_write", counted)


@pytest.mark.parametrize(
    "before",
    [pytest.param(None, marks=pytest.mark.slow), PRESENT - 6 * HOUR],
    ids=["first", "next"],
)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_amid_a_refresh_is_an_error_and_the_next_refresh_restores_everybody(
    fresh, redis_server, log, monkeypatch, fault, before
):
    from feature_access import errors
    from feature_access.registry import open_store
    from feature_pipeline.online.materialize import materialize_up_to

    happen, error, why = FAULTS[fault]
    repository = on_redis(fresh, redis_server, limits=QUICK if fault == "hung" else ONCE)
    store = open_store(repository)
    if before:
        materialize_up_to(store, before)
    with monkeypatch.context() as patch:
        amid_a_write(patch, lambda: happen(redis_server))
        with pytest.raises(getattr(errors, error), match=f"{why}.*{VIEW}|{VIEW}.*{why}|{why}"):
            materialize_up_to(store, PRESENT)
    assert_nobody_reads_zeros_of_an_active_customer(repository, log, before)

    if fault == "killed":
        redis_server.start()
    redis_server.resume()
    assert_nobody_reads_zeros_of_an_active_customer(repository, log, before)
    materialize_up_to(open_store(repository), PRESENT)
    assert told(opened(repository).read(keys(EVERYBODY), at=PRESENT)) == expected(
        log, at(PRESENT, EVERYBODY)
    )


def assert_nobody_reads_zeros_of_an_active_customer(repository, log, before) -> None:
    """A read fails, or says what was right before the refresh or is after it."""
    from feature_access.errors import OnlineStoreUnavailableError

    try:
        answers = told(opened(repository).read(keys(EVERYBODY), at=before or PRESENT))
    except OnlineStoreUnavailableError:
        return
    assert before
    right = zip(
        expected(log, at(before, EVERYBODY)), expected(log, at(PRESENT, EVERYBODY)), strict=True
    )
    for answer, either in zip(answers, right, strict=True):
        assert answer in either
    assert answers.count(ZEROS) < len(answers) / 2
