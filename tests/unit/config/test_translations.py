"""A ``brain_config.json`` pasted from translated documentation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.unit.config.conftest import Install

BrainConfig = Callable[[Any], Path]

EXPECTED = {
    "URI": "uri",
    "用户": "user",
    "用户名": "user",
    "密码": "password",
    "令牌": "token",
    "数据库名称": "db_name",
    "数据库": "db_name",
    "安全连接": "secure",
    "地址": "uri",
    "超时": "timeout",
    "客户端密钥路径": "client_key_path",
    "客户端证书路径": "client_pem_path",
    "CA证书路径": "ca_pem_path",
    "服务器证书路径": "server_pem_path",
    "服务器名称": "server_name",
    "集合名称": "collection_name",
    "度量": "metric",
    "指标": "metric",
    "一致性级别": "consistency_level",
}

pytestmark = pytest.mark.usefixtures("probe")


def refusal(name: str | None = "probe") -> str:
    with pytest.raises(vecbridge.UnknownSettingError) as caught:
        vecbridge.get_backend(name)
    return str(caught.value)


def test_every_translated_key_is_told_at_once_and_no_value(brain_config: BrainConfig) -> None:
    path = brain_config(
        {
            "默认相似度后端": "milvus",
            "相似度后端": {"Milvus": {key: f"secret-{n}" for n, key in enumerate(EXPECTED)}},
        }
    )
    message = refusal()
    assert str(path) in message
    assert "默认相似度后端 -> default_similarity_backend" in message
    assert "相似度后端 -> similarity_backends" in message
    assert "Milvus -> milvus" in message
    for found, meant in EXPECTED.items():
        assert f"{found} -> {meant}" in message
    assert "secret-" not in message


@pytest.mark.parametrize("key", sorted(set(EXPECTED) - {"URI"}))
def test_each_alone_is_refused_whatever_backend_is_asked_for(
    key: str, brain_config: BrainConfig
) -> None:
    brain_config({"similarity_backends": {"milvus": {key: "x"}}})
    assert f"{key} -> {EXPECTED[key]}" in refusal()


@pytest.mark.parametrize(
    "key", ["相似度后端", "默认相似度后端", "Similarity_Backends", "DEFAULT_SIMILARITY_BACKEND"]
)
def test_a_top_level_key_alone_is_refused(key: str, brain_config: BrainConfig) -> None:
    brain_config({key: {}})
    assert f"{key} -> " in refusal()


def test_the_default_backend_is_no_way_around_it(brain_config: BrainConfig) -> None:
    brain_config({"默认相似度后端": "probe", "default_similarity_backend": "probe"})
    assert "默认相似度后端 -> default_similarity_backend" in refusal(None)


def test_it_is_told_before_a_backend_that_nobody_chose_asks_to_be_installed(
    brain_config: BrainConfig, install: Install
) -> None:
    install("other", "import absent_package", distribution="other", module="acme_other")
    brain_config({"默认相似度后端": "probe"})
    assert "默认相似度后端 -> default_similarity_backend" in refusal("other")


def test_another_case_of_the_wanted_backends_keys_is_refused(brain_config: BrainConfig) -> None:
    brain_config({"similarity_backends": {"probe": {"URI": "x"}}})
    assert "URI -> uri" in refusal()


def test_another_case_of_the_wanted_backends_name_is_refused(brain_config: BrainConfig) -> None:
    brain_config({"similarity_backends": {"Probe": {"uri": "x"}}})
    assert "Probe -> probe" in refusal()


def test_another_case_in_another_backends_section_is_left_alone(brain_config: BrainConfig) -> None:
    brain_config({"similarity_backends": {"qdrant": {"URI": "x"}, "Milvus": {}}})
    assert vecbridge.get_backend("probe").name == "probe"


def test_an_unlisted_translation_is_refused_as_any_unknown_key(brain_config: BrainConfig) -> None:
    brain_config({"similarity_backends": {"probe": {"神秘": "hunter2"}}})
    message = refusal()
    assert "'神秘'" in message
    assert "hunter2" not in message
