"""The keys of Secrets: what is read, written, and refused."""

import json

import pytest

from bundles.errors import FormatError
from runtime.configs.apiserver import encryption_config, encryption_state
from runtime.secretkeys.config import SecretKey, read_keys, read_state, reloads, state_of, write_keys

OLD, NEW = SecretKey(name="aescbckey", octets=b"o" * 32), SecretKey(name="aescbckey-2", octets=b"n" * 32)


def test_the_first_start_and_a_rotation_write_the_same_form() -> None:
    first = encryption_config(OLD.octets)
    assert write_keys((OLD,)) == first and read_keys(first, where="t") == (OLD,)
    assert state_of(first, "start") == encryption_state(first)


def test_the_writing_key_comes_first_and_keys_do_not_show_in_logs() -> None:
    assert read_keys(write_keys((NEW, OLD)), where="t") == (NEW, OLD)
    assert "nnnn" not in repr(NEW)
    assert read_state(state_of(b"x", "reencrypt_finished"))[0] == "reencrypt_finished"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        write_keys(()),
        write_keys((OLD, OLD)),
        write_keys((SecretKey(name="x", octets=b"short"),)),
        json.dumps({"resources": [{"providers": [{"secretbox": {"keys": []}}]}]}).encode(),
    ],
)
def test_what_could_lose_secrets_is_not_rotated(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_keys(data, where="t")


def test_only_reloads_that_succeeded_count() -> None:
    name = "apiserver_encryption_config_controller_automatic_reloads_total"
    rows = (
        f'{name}{{apiserver_id_hash="a",status="failure"}} 3',
        f'{name}{{apiserver_id_hash="a",status="success"}} 2',
    )
    text = "\n".join((f"# HELP {name} x", *rows))
    assert reloads(text) == 2 and reloads("") == 0
