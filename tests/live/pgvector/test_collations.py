"""Texts of a table that another program made are compared by code point, in any collation."""

from __future__ import annotations

import operator
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.live.pgvector.conftest import Opener
from tests.servers.postgres import running_postgres
from vecbridge import SchemaMismatchError, field

LABELS = ["apple", "Berry", "Zebra", "\u00e9clair", "zoo"]
COMPARISONS = [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne]
FOLDED = "provider = icu, locale = 'und-u-ks-level2', deterministic = false"


@pytest.fixture(scope="module")
def pgvector_uri() -> Iterator[str]:
    """A server that knows the locale of American English, which orders texts as a dictionary."""
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/en_US").exists():
        pytest.skip("the sources of locales are not installed")
    with tempfile.TemporaryDirectory() as locales, pytest.MonkeyPatch.context() as patch:
        # Pytest's own folders are closed to the user that the server runs as.
        Path(locales).chmod(0o755)
        command = ["localedef", "-i", "en_US", "-f", "UTF-8", f"{locales}/en_US.UTF-8"]
        subprocess.run(command, check=True, capture_output=True)
        patch.setenv("LOCPATH", f"{locales}:/usr/lib/locale")
        with running_postgres() as server:
            yield server.uri


def test_texts_are_ordered_by_code_point_whatever_the_collation_of_their_column(
    raw: psycopg.Connection[Any], schema: str, opened: Opener
) -> None:
    raw.execute(f"CREATE COLLATION \"{schema}\".english (locale = 'en_US.UTF-8')")
    english = f'text COLLATE "{schema}".english'
    raw.execute(
        f'CREATE TABLE "{schema}".t (id {english} PRIMARY KEY, v vector(2) NOT NULL, '
        f"label {english} NOT NULL)"
    )
    rows = [(label, label) for label in LABELS]
    with raw.cursor() as cursor:
        cursor.executemany(f"INSERT INTO \"{schema}\".t VALUES (%s, '[1,2]', %s)", rows)
    ordered = raw.execute(f'SELECT label FROM "{schema}".t ORDER BY label').fetchall()
    assert [row[0] for row in ordered] != sorted(LABELS)
    index = opened(metric="euclidean").open_index("t")
    for bound in LABELS:
        for compared in COMPARISONS:
            where = compared(field("label"), bound)
            expected = {each for each in LABELS if compared(each, bound)}
            assert index.count(where=where) == len(expected), where
            hits = index.search([1.0, 2.0], k=9, where=where)[0]
            assert (set(hits.ids), hits.exact) == (expected, True), where
    assert [name for page in index.scan(2, start="A") for name in page.ids] == sorted(LABELS)


def test_a_column_that_takes_different_texts_for_equal_is_neither_a_field_nor_the_ids(
    raw: psycopg.Connection[Any], schema: str, opened: Opener
) -> None:
    try:
        raw.execute(f'CREATE COLLATION "{schema}".folded ({FOLDED})')
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this build of PostgreSQL has no ICU, and so no such collations")
    folded = f'text COLLATE "{schema}".folded'
    vector = "v vector(2) NOT NULL"
    raw.execute(f'CREATE TABLE "{schema}".t (id text PRIMARY KEY, {vector}, label {folded})')
    index = opened(metric="euclidean").open_index("t")
    assert (dict(index.info.fields), [*index.info.unsupported]) == ({}, ["label"])
    raw.execute(f'CREATE TABLE "{schema}".u (id {folded} PRIMARY KEY, {vector})')
    with pytest.raises(SchemaMismatchError, match="setting id_column"):
        opened(metric="euclidean").open_index("u")
