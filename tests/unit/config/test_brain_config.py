"""A configuration file that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vecbridge

BrainConfig = Callable[[Any], Path]

pytestmark = pytest.mark.usefixtures("probe")


def refusal() -> str:
    with pytest.raises(vecbridge.ConfigurationError) as caught:
        vecbridge.get_backend("probe")
    assert caught.value.__context__ is None, "a decoding error in the context holds the file's text"
    return str(caught.value)


def test_a_syntax_error_is_located(brain_config: BrainConfig) -> None:
    path = brain_config('{\n  "similarity_backends": {"probe": {"token": "hunter2" "uri": 1}}\n}')
    message = refusal()
    assert f"{path}, line 2, column 56: not JSON" in message
    assert "comments" not in message
    assert "hunter2" not in message


@pytest.mark.parametrize("sign", ["#", "//", "  # "])
def test_a_comment_is_called_one(sign: str, brain_config: BrainConfig) -> None:
    brain_config("{\n" + sign + ' the server\n"similarity_backends": {}}')
    message = refusal()
    assert "line 2, column" in message
    assert "JSON has no comments: remove the lines that start with # or // (line 2)" in message


def test_typographic_signs_are_called_so(brain_config: BrainConfig) -> None:
    brain_config('{"similarity_backends"： {}}')
    assert "ASCII" in refusal()


def test_translated_keys_of_an_unreadable_file_are_told_as_well(brain_config: BrainConfig) -> None:
    brain_config('{\n# 示例\n"相似度后端": {"milvus": {"密码": "hunter2"}}}')
    message = refusal()
    assert "相似度后端 -> similarity_backends, 密码 -> password" in message
    assert "hunter2" not in message


def test_a_byte_order_mark_is_no_error(brain_config: BrainConfig) -> None:
    brain_config("\ufeff" + '{"similarity_backends": {"probe": {"uri": "u"}}}')
    store: Any = vecbridge.get_backend("probe").backend
    assert store.settings.uri == "u"


def test_another_encoding_is_told(brain_config: BrainConfig) -> None:
    path = brain_config("{}")
    path.write_bytes('{"密码": "hunter2"}'.encode("gbk"))
    message = refusal()
    assert f"cannot read {path}: byte 2 is not UTF-8" in message


def test_a_file_that_may_not_be_read_is_told(
    brain_config: BrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = brain_config({})

    def locked(self: Path, *_: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as fault:
        fault.setattr(Path, "open", locked)
        with pytest.raises(vecbridge.ConfigurationError) as caught:
            vecbridge.get_backend("probe")
    assert f"cannot read {path}: Permission denied" in str(caught.value)


def test_a_user_without_a_home_has_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_000)
    assert vecbridge.get_backend("probe").name == "probe"


@pytest.mark.parametrize(
    ("content", "found"),
    [("[]", "an array"), ('"hunter2"', "a string"), ("12", "a number"), ("null", "null")],
)
def test_a_file_that_is_no_object_is_refused(
    content: str, found: str, brain_config: BrainConfig
) -> None:
    brain_config(content)
    assert f"must hold a JSON object; found {found}" in refusal()


def test_a_section_that_is_no_object_is_refused(brain_config: BrainConfig) -> None:
    brain_config({"similarity_backends": {"probe": "hunter2"}})
    message = refusal()
    assert "(similarity_backends.probe) must be an object" in message
    assert message.endswith("found a string")


def test_sections_that_are_no_object_are_refused(brain_config: BrainConfig) -> None:
    brain_config({"similarity_backends": ["probe"]})
    assert "similarity_backends must be an object with one entry per backend" in refusal()


def test_null_for_a_section_is_an_empty_one(brain_config: BrainConfig) -> None:
    brain_config({"similarity_backends": {"probe": None}})
    assert vecbridge.get_backend("probe").name == "probe"
    brain_config({"similarity_backends": None})
    assert vecbridge.get_backend("probe").name == "probe"


def test_what_else_fiftyone_keeps_there_is_fine(brain_config: BrainConfig) -> None:
    brain_config(
        {"default_visualization_method": "umap", "visualization_methods": {}, "anything": 1}
    )
    assert vecbridge.get_backend("probe").name == "probe"
