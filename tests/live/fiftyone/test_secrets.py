"""Real runs on a server that asks for credentials, and MongoDB searched for them afterwards."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest

from tests.live.fiftyone.cases import Case, Digits, new_run
from tests.servers.milvus import running_milvus

SECRET = "Pl4nted-s3cret"
USER = "carol"
OTHER = "An0ther-s3cret"
SECRETS = [SECRET, OTHER]

CONFIGURED = """
import json, os, sys
import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
from fiftyone.brain.config import load_brain_config

name, vectors, second = json.loads(sys.stdin.read())
dataset = fo.load_dataset(name)

def used(key):
    index = fob.compute_similarity(
        dataset, embeddings=np.array(vectors), brain_key=key, backend="milvus"
    )
    view = dataset.sort_by_similarity(dataset.first().id, k=5, brain_key=key, dist_field=key)
    index.save_config()
    index.save()
    print(len(view), index.total_index_size)
    index.cleanup()

used("by_password")
del os.environ["FIFTYONE_BRAIN_SIMILARITY_MILVUS_USER"]
os.environ.update(second)
# As FiftyOne does when it is imported.
fob.brain_config = load_brain_config()
used("by_token")
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server on which carol, an administrator, has the planted password."""
    from pymilvus import MilvusClient

    switched_on = {"common": {"security": {"authorizationEnabled": True}}}
    with running_milvus(tmp_path_factory.mktemp("guarded"), switched_on) as server:
        client = MilvusClient(server.uri, token="root:Milvus")
        client.create_user(USER, SECRET)
        client.grant_role(USER, "admin")
        client.close()
        yield server.uri
        server.kill()


def dump() -> bytes:
    """Every document of every database, the chunks of files too."""
    import fiftyone.core.odm as foo

    client = foo.get_db_client()
    return b"".join(
        bson.encode(document)
        for database in client.list_database_names()
        for collection in client[database].list_collection_names()
        for document in client[database][collection].find()
    )


def planted(found: bytes) -> list[str]:
    """The secrets that are in a dump, plainly or in base64."""
    # A part of three bytes reads the same in base64 wherever the secret begins.
    coded = [base64.b64encode(word[at:].encode())[4:-4] for word in SECRETS for at in range(3)]
    wanted = [*(word.encode() for word in SECRETS), *coded]
    return [word.decode() for word in wanted if word in found]


@pytest.mark.parametrize(
    "credentials",
    [{"user": USER, "password": SECRET}, {"token": f"{USER}:{SECRET}"}],
    ids=["password", "token"],
)
def test_credentials_of_keywords_are_not_stored(
    fob: Any, digits: Digits, guarded: str, credentials: dict[str, str]
) -> None:
    place = {"uri": guarded, **credentials}
    index = new_run(digits, Case("milvus", place), embeddings=digits.vectors)
    assert len(index.sort_by_similarity(digits.ids[0], k=5, dist_field="guarded")) == 5
    index.save_config()
    index.save()
    again = digits.dataset.load_brain_results(index.key, cache=False, **place)
    assert again.total_index_size == len(digits.ids)
    found = dump()
    assert index.config.collection_name.encode() in found
    assert planted(found) == []
    index.delete()


def test_credentials_of_environment_and_file_are_not_stored(
    fob: Any, digits: Digits, guarded: str, tmp_path: Path
) -> None:
    prefix = "FIFTYONE_BRAIN_SIMILARITY_MILVUS_"

    def enabled(file: str, section: dict[str, str], more: dict[str, str]) -> dict[str, str]:
        path = tmp_path / file
        content = {"similarity_backends": {"milvus": {"uri": guarded, **section}}}
        path.write_text(json.dumps(content))
        variables = {"FIFTYONE_BRAIN_CONFIG_PATH": str(path), **more}
        subprocess.run(
            [sys.executable, "-m", "vecbridge.fiftyone", "enable", "--backend", "milvus"],
            env={**os.environ, **variables},
            timeout=60,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return variables

    first = enabled("password.json", {"password": SECRET}, {f"{prefix}USER": USER})
    second = enabled("token.json", {}, {f"{prefix}TOKEN": f"{USER}:{SECRET}"})
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CONFIGURED],
        input=json.dumps([digits.dataset.name, digits.vectors.tolist(), second]),
        env={**os.environ, **first},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-2:] == [f"5 {len(digits.ids)}"] * 2
    found = dump()
    assert b"by_password" in found
    assert b"by_token" in found
    assert planted(found) == []
    assert SECRET not in done.stdout + done.stderr
    digits.dataset.reload()
    for key in ("by_password", "by_token"):
        digits.dataset.delete_brain_run(key)


def test_refused_credentials_are_not_stored_either(fob: Any, digits: Digits, guarded: str) -> None:
    wrong = Case("milvus", {"uri": guarded, "user": USER, "password": OTHER})
    with pytest.raises(PermissionError):
        new_run(digits, wrong, embeddings=digits.vectors)
    typo = Case("milvus", {"uri": guarded, "pasword": OTHER})
    with pytest.raises(ValueError, match="did you mean 'password'"):
        new_run(digits, typo, embeddings=digits.vectors)
    assert planted(dump()) == []


def test_search_of_the_dump_finds_what_is_there(fob: Any, digits: Digits) -> None:
    digits.dataset.info["note"] = OTHER
    digits.dataset.save()
    assert planted(dump()) == [OTHER]
    del digits.dataset.info["note"]
    digits.dataset.save()
    assert planted(dump()) == []
