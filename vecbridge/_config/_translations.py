"""Keys of ``brain_config.json`` as translated documentation spells them.

The Milvus documentation in Chinese translates the keys of its example along with the prose. Who
pastes it has configured nothing; an error says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from vecbridge._errors import UnknownSettingError

_TOP = {
    "similarity_backends": ("相似度后端", "相似性后端", "相似度後端", "相似性後端"),
    "default_similarity_backend": ("默认相似度后端", "默认相似性后端", "預設相似度後端"),
}
_SETTINGS = {
    "uri": ("地址", "网址", "服务器地址", "位址"),
    "user": ("用户", "用户名", "用戶", "使用者", "使用者名稱"),
    "password": ("密码", "密碼", "口令"),
    "token": ("令牌", "标记", "權杖", "代币"),
    "db_name": ("数据库名称", "数据库名", "数据库", "資料庫名稱", "資料庫"),
    "secure": ("安全连接", "安全", "安全連線"),
    "timeout": ("超时", "超时时间", "逾時"),
    "client_key_path": ("客户端密钥路径", "客戶端密鑰路徑"),
    "client_pem_path": ("客户端证书路径", "客户端PEM路径", "客戶端憑證路徑"),
    "ca_pem_path": ("CA证书路径", "ca证书路径", "CA憑證路徑"),
    "server_pem_path": ("服务器证书路径", "服务端证书路径", "伺服器憑證路徑"),
    "server_name": ("服务器名称", "服务器名", "服务端名称", "伺服器名稱"),
    "collection_name": ("集合名称", "集合名", "集合", "集合名稱"),
    "metric": ("度量", "指标", "度量标准", "度量指标", "指標"),
    "consistency_level": ("一致性级别", "一致性等级", "一致性水平", "一致性層級"),
}


def _inverted(glossary: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {word: key for key, words in glossary.items() for word in words}


_TOP_LEVEL = _inverted(_TOP)
_IN_SECTION = _inverted(_SETTINGS)


class Respelled(NamedTuple):
    """A key of the file, the key that it stands for, and whether the caller loses by it."""

    found: str
    meant: str
    matters: bool


def refuse_translations(
    path: str, content: Mapping[str, Any], wanted: Collection[str], known: Collection[str]
) -> None:
    """Tell which key each translated key of a file stands for, all of them at once.

    Keys that differ only in case (``URI``, ``Milvus``) are listed along with them. Alone, they
    are refused in what concerns the backend that was asked for: another one's are its own affair.

    Args:
        path: of the file.
        content: the file's.
        wanted: section names of the backend that was asked for.
        known: section names of every installed backend.

    Raises:
        UnknownSettingError: there is such a key.
    """
    found = list(_respelled(content, wanted, known))
    if any(item.matters for item in found):
        raise UnknownSettingError(
            f"{path} has keys that are not read, because they are translated or in another case. "
            f"Rename each: {meant_by(found)}"
        )


def quoted_translations(text: str) -> list[Respelled]:
    """Return translated keys in a text that is not JSON."""
    words = re.findall(r'["“”]([^"“”\n]*)["“”]', text)
    glossary = {**_TOP_LEVEL, **_IN_SECTION}
    return [Respelled(word, glossary[word], True) for word in words if word in glossary]


def meant_by(respelled: Iterable[Respelled]) -> str:
    """Return each key and what it stands for, once."""
    return ", ".join(dict.fromkeys(f"{item.found} -> {item.meant}" for item in respelled))


def _respelled(
    content: Mapping[str, Any], wanted: Collection[str], known: Collection[str]
) -> Iterator[Respelled]:
    for key, value in content.items():
        meant = _meant(key, _TOP_LEVEL)
        if meant is not None:
            yield Respelled(key, meant, True)
        if (meant or key) == "similarity_backends" and isinstance(value, dict):
            for name, section in value.items():
                yield from _respelled_section(name, section, wanted, known)


def _respelled_section(
    name: str, section: object, wanted: Collection[str], known: Collection[str]
) -> Iterator[Respelled]:
    concerned = name.lower() in wanted
    if name.lower() != name and name.lower() in known:
        yield Respelled(name, name.lower(), concerned)
    if isinstance(section, dict):
        for key in section:
            meant = _meant(key, _IN_SECTION)
            if meant is not None:
                yield Respelled(key, meant, concerned or not key.isascii())


def _meant(key: str, glossary: Mapping[str, str]) -> str | None:
    if key in glossary:
        return glossary[key]
    folded = key.lower()
    return folded if folded != key and folded in glossary.values() else None
