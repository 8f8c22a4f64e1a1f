"""Settings from FiftyOne's environment variables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from vecbridge._config._given import Given, Source

DEFAULT_BACKEND = "FIFTYONE_BRAIN_DEFAULT_SIMILARITY_BACKEND"
_BACKENDS = "FIFTYONE_BRAIN_SIMILARITY_BACKENDS"
_PREFIX = "FIFTYONE_BRAIN_SIMILARITY_"


def declared_backends(environ: Mapping[str, str]) -> set[str]:
    """Return names of the backends that the environment declares to FiftyOne."""
    return {name for name in environ.get(_BACKENDS, "").split(",") if name not in ("", "*")}


def environment_settings(
    environ: Mapping[str, str], sections: Collection[str], known: Collection[str]
) -> Iterator[Given]:
    """Yield what the environment says of a backend.

    A variable belongs to the known backend with the longest matching name: where ``milvus_lite``
    is a backend, ``FIFTYONE_BRAIN_SIMILARITY_MILVUS_LITE_TOKEN`` is its ``token``, and not a
    ``lite_token`` of ``milvus``. Values stay strings, for the declared type to cast: a password
    ``12345`` is not a number. As in FiftyOne, an empty value and ``None`` stand for the default.

    Args:
        environ: the environment.
        sections: names of the backend.
        known: names of all backends, installed or declared.
    """
    owners = sorted({*sections, *known}, key=len, reverse=True)
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX):
            continue
        rest = variable.removeprefix(_PREFIX)
        owner = next((name for name in owners if rest.startswith(_word(name))), None)
        if owner is None or owner not in sections:
            continue
        key = rest.removeprefix(_word(owner)).lower()
        value = environ[variable]
        if key:
            yield Given(
                key, None if value in ("", "None") else value, Source("environment", variable)
            )


def variable_name(backend: str, key: str) -> str:
    """Return the variable that sets one setting of a backend."""
    return _PREFIX + _word(backend) + key.upper()


def _word(backend: str) -> str:
    return backend.upper().replace("-", "_") + "_"
