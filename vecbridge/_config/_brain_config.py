"""FiftyOne's ``brain_config.json``, read with or without FiftyOne."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vecbridge._config._sources import Given, Source
from vecbridge._errors import ConfigurationError, UnknownSettingError

BACKENDS = "similarity_backends"
DEFAULT = "default_similarity_backend"
_PATH = "FIFTYONE_BRAIN_CONFIG_PATH"
_LARGEST_MIB = 16
_SURROGATE = re.compile("[\ud800-\udfff]")

# The Milvus documentation in Chinese translates the keys of its example along with the prose. A
# user who pastes it has configured nothing; an error says so.
_TOP_LEVEL = {
    word: key
    for key, words in {
        "similarity_backends": ("相似度后端", "相似性后端", "相似度後端", "相似性後端"),
        "default_similarity_backend": ("默认相似度后端", "默认相似性后端", "預設相似度後端"),
    }.items()
    for word in words
}
_IN_SECTION = {
    word: key
    for key, words in {
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
    }.items()
    for word in words
}


@dataclass(frozen=True)
class BrainConfig:
    """The file's content; empty where there is no file."""

    path: str
    content: Mapping[str, Any] = field(repr=False)

    @property
    def sections(self) -> Mapping[str, Any]:
        """Return the settings of each backend."""
        sections = self.content.get(BACKENDS) or {}
        if not isinstance(sections, dict):
            raise ConfigurationError(
                f"{self.path}: {BACKENDS} must be an object with one entry per backend; "
                f"found {_kind(sections)}"
            )
        return sections

    @property
    def default_backend(self) -> str | None:
        """Return the backend that is meant where none is named."""
        name = self.content.get(DEFAULT)
        if name is None or isinstance(name, str):
            return name or None
        raise ConfigurationError(
            f"{self.path}: {DEFAULT} must be the name of a backend; found {_kind(name)}"
        )

    def settings(self, names: Collection[str]) -> Iterator[Given]:
        """Yield what the file says of a backend with these names."""
        for name in names:
            place = f"{self.path} ({BACKENDS}.{name})"
            if name not in self.sections:
                continue
            section = self.sections[name]
            if not isinstance(section, dict):
                raise ConfigurationError(
                    f"{place} must be an object with one entry per setting; found {_kind(section)}"
                )
            yield from (Given(key, value, Source("file", place)) for key, value in section.items())

    def refuse_respelled(self, wanted: Collection[str], known: Collection[str]) -> None:
        """Name the key that each translated key stands for, all of them at once.

        Keys that differ only in case (``URI``, ``Milvus``) are listed along with them. Alone, they
        are refused in what concerns the backend that was asked for, and left to any other one.

        Args:
            wanted: section names of the backend that was asked for.
            known: section names of every installed backend.

        Raises:
            UnknownSettingError: there is such a key.
        """
        found = list(_respelled(self.content, wanted, known))
        if any(matters for _, _, matters in found):
            meant = dict.fromkeys(f"{key} -> {meaning}" for key, meaning, _ in found)
            raise UnknownSettingError(
                f"{self.path} has keys that are not read, because they are translated or in "
                f"another case. Rename each: {', '.join(meant)}"
            )


def read_brain_config(environ: Mapping[str, str]) -> BrainConfig:
    """Read the file where FiftyOne reads it; like FiftyOne, take none for an empty one.

    What is no file, such as a pipe or a device, is none. A section that is ``null`` is left out.

    Raises:
        ConfigurationError: the file is there, but cannot be read.
    """
    # Unlike pathlib's, these two never fail: not without a home, not before a locked folder.
    home = os.path.expanduser("~")  # noqa: PTH111
    path = environ.get(_PATH, f"{home}/.fiftyone/brain_config.json")
    try:
        # Not a pipe, for one, from which nothing may ever come.
        there = os.path.isfile(path)  # noqa: PTH113
    except ValueError:
        raise ConfigurationError(
            f"{_PATH} names no file that a system can have: a path has no NUL and no lone surrogate"
        ) from None
    if not there:
        _refuse_loop(path)
        return BrainConfig(path, {})
    content = _parsed(path, _text(path))
    if _has_lone_surrogate(content):
        problem = "holds a lone surrogate (\\ud800 to \\udfff), half of a character: correct it"
    elif not isinstance(content, dict):
        problem = f"must hold a JSON object; found {_kind(content)}"
    else:
        return BrainConfig(path, _without_null_sections(content))
    # It may hold secrets, and tools show the local variables of a traceback.
    del content
    raise ConfigurationError(f"{path} {problem}")


def _refuse_loop(path: str) -> None:
    """Refuse a link that leads to itself; one to a file that is yet to be made is fine."""
    try:
        os.stat(path)  # noqa: PTH116
    except OSError as error:
        looping = error.errno == errno.ELOOP
    else:
        return
    if looping:
        raise ConfigurationError(f"cannot read {path}: the link leads to itself")


def _without_null_sections(content: dict[str, Any]) -> dict[str, Any]:
    sections = content.get(BACKENDS)
    if not isinstance(sections, dict):
        return content
    given = {name: section for name, section in sections.items() if section is not None}
    return {**content, BACKENDS: given}


def _has_lone_surrogate(content: object) -> bool:
    waiting = [content]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += [*each, *each.values()]
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str) and not each.isascii() and _SURROGATE.search(each):
            return True
    return False


# Below, errors are raised after the ``except``, not in it: as their context, a decoding error would
# carry the whole text along, and with it every secret in the file.


def _text(path: str) -> str:
    limit = _LARGEST_MIB << 20
    try:
        with Path(path).open("rb") as file:
            read = file.read(limit + 1)
        if len(read) <= limit:
            # Editors on Windows begin UTF-8 with a byte order mark, which JSON does not know.
            return read.decode("utf-8-sig")
        reason = f"it is larger than {_LARGEST_MIB} MiB, which no configuration is"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8; save the file as UTF-8"
    raise ConfigurationError(f"cannot read {path}: {reason}")


def _parsed(path: str, text: str) -> object:
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where, reason = f"line {error.lineno}, column {error.colno}", f"{error.msg}{_advice(text)}"
    except RecursionError:
        where, reason = "somewhere", "it is nested too deeply"
    except ValueError:
        where, reason = "somewhere", "a number in it has too many digits"
    raise ConfigurationError(f"{path}, {where}: not JSON: {reason}")


def _advice(text: str) -> str:
    advice = ""
    starts = [line.lstrip()[:2] for line in text.splitlines()]
    comments = [n for n, start in enumerate(starts, 1) if start[:1] == "#" or start == "//"]
    if comments:
        advice += (
            f". JSON has no comments: remove the lines that start with # or // "
            f"(line {', '.join(map(str, comments))})"
        )
    if any(sign in text for sign in "：，“”"):
        advice += '. Use the ASCII signs : , and " for the typographic ones'
    glossary = {**_TOP_LEVEL, **_IN_SECTION}
    quoted = re.findall(r'["“”]([^"“”\n]*)["“”]', text)
    translated = [f"{word} -> {glossary[word]}" for word in quoted if word in glossary]
    if translated:
        advice += ". Translated keys are not read either: " + ", ".join(dict.fromkeys(translated))
    return advice


def _kind(value: object) -> str:
    """Return the type of a value in JSON's words; the value itself may be a secret."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}
    return names.get(type(value), "null" if value is None else "a number")


def _respelled(
    content: Mapping[str, Any], wanted: Collection[str], known: Collection[str]
) -> Iterator[tuple[str, str, bool]]:
    """Yield each misspelled key, the key that it stands for, and whether the caller loses by it."""
    for key, value in content.items():
        meant = _meant(key, _TOP_LEVEL)
        if meant is not None:
            yield key, meant, True
        if (meant or key) == "similarity_backends" and isinstance(value, dict):
            for name, section in value.items():
                yield from _respelled_section(name, section, wanted, known)


def _respelled_section(
    name: str, section: object, wanted: Collection[str], known: Collection[str]
) -> Iterator[tuple[str, str, bool]]:
    concerned = name.lower() in wanted
    if name.lower() != name and name.lower() in known:
        yield name, name.lower(), concerned
    if isinstance(section, dict):
        for key in section:
            meant = _meant(key, _IN_SECTION)
            if meant is not None:
                yield key, meant, concerned or not key.isascii()


def _meant(key: str, glossary: Mapping[str, str]) -> str | None:
    if key in glossary:
        return glossary[key]
    folded = key.lower()
    return folded if folded != key and folded in glossary.values() else None
