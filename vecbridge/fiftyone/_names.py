"""Names of new indexes: unique, and telling of whom each is.

The index of a run is named after its dataset, its key and the database that both are in. When no
run has it any more, the name alone tells that it was made here, and for this database alone.
"""

from __future__ import annotations

import hashlib
import re
import secrets

import fiftyone.core.odm as foo

PREFIX = "fiftyone_"
"""The beginning of every name that is made here, and of those that FiftyOne's adapters make."""

_LONGEST_PART = 80
_MADE_HERE = re.compile(rf"{PREFIX}.*_([0-9a-f]{{8}})_[0-9a-f]{{8}}")


def name_for_run(dataset: str, brain_key: str) -> str:
    """Return a name for the index of a run, which tells that it is of this database."""
    return "_".join([_stem(dataset, brain_key), _database(), secrets.token_hex(4)])


def unique_name(dataset: str, brain_key: str | None) -> str:
    """Return a name for an index that is of no run, such as a copy that a user asks for."""
    return "_".join([_stem(dataset, brain_key or ""), secrets.token_hex(4)])


def is_made_here(name: str) -> bool:
    """Return whether an index was made for a run of a dataset in this database."""
    matched = _MADE_HERE.fullmatch(name)
    return matched is not None and matched.group(1) == _database()


def _stem(dataset: str, brain_key: str) -> str:
    return PREFIX + "_".join(filter(None, [_slug(dataset), _slug(brain_key)]))


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:_LONGEST_PART].lower()


def _database() -> str:
    """Return what tells this database of FiftyOne's from others: its one document has an id."""
    foo.get_db_config()
    (document,) = foo.get_db_conn().config.find({}, {"_id": True})
    return hashlib.blake2b(str(document["_id"]).encode(), digest_size=4).hexdigest()
