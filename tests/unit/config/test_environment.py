"""Which backend an environment variable belongs to."""

from __future__ import annotations

from vecbridge._config._environment import declared_backends, environment_settings

TOKEN = {"FIFTYONE_BRAIN_SIMILARITY_MILVUS_LITE_TOKEN": "t"}


def keys(environ: dict[str, str], section: str, known: set[str]) -> list[str]:
    return [given.key for given in environment_settings(environ, (section,), known)]


def test_the_longest_matching_name_owns_the_variable() -> None:
    known = {"milvus", "milvus_lite"}
    assert keys(TOKEN, "milvus_lite", known) == ["token"]
    assert keys(TOKEN, "milvus", known) == []


def test_without_the_longer_name_the_shorter_one_owns_it() -> None:
    assert keys(TOKEN, "milvus", {"milvus"}) == ["lite_token"]


def test_a_name_declared_to_fiftyone_counts_as_known() -> None:
    environ = {**TOKEN, "FIFTYONE_BRAIN_SIMILARITY_BACKENDS": "*,milvus_lite"}
    assert declared_backends(environ) == {"milvus_lite"}
    assert keys(environ, "milvus", {"milvus", *declared_backends(environ)}) == []


def test_a_name_is_not_matched_by_its_beginning_alone() -> None:
    assert keys({"FIFTYONE_BRAIN_SIMILARITY_MILVUSITE_URI": "x"}, "milvus", {"milvus"}) == []
    assert keys({"FIFTYONE_BRAIN_SIMILARITY_MILVUS_": "x"}, "milvus", {"milvus"}) == []
    assert keys({"FIFTYONE_BRAIN_SIMILARITY_MILVUS": "x"}, "milvus", {"milvus"}) == []


def test_other_variables_are_left_alone() -> None:
    environ = {"FIFTYONE_BRAIN_VISUALIZATION_MILVUS_URI": "x", "MILVUS_URI": "y"}
    assert keys(environ, "milvus", {"milvus"}) == []


def test_a_hyphen_in_a_name_is_an_underscore_in_the_variable() -> None:
    assert keys({"FIFTYONE_BRAIN_SIMILARITY_MY_STORE_URI": "x"}, "my-store", set()) == ["uri"]


def test_a_value_does_not_show_in_the_representation() -> None:
    (given,) = environment_settings(TOKEN, ("milvus_lite",), ())
    assert given.value == "t"
    assert "'t'" not in repr(given)
