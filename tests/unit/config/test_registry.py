"""Finding, choosing and importing a backend."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import vecbridge
from tests.unit.config.conftest import PROBE, Install
from vecbridge.diagnosis import diagnose
from vecbridge.settings import dependencies_of

BrainConfig = Callable[[Any], Path]
DEFAULT = "FIFTYONE_BRAIN_DEFAULT_SIMILARITY_BACKEND"


def test_names_are_listed_without_importing(install: Install) -> None:
    install(source="raise RuntimeError('imported')")
    assert {"milvus", "probe", "sklearn"} <= set(vecbridge.backend_names())
    assert vecbridge.backend_names() == sorted(vecbridge.backend_names())


def test_only_the_wanted_backend_is_imported(install: Install) -> None:
    install()
    install("other", distribution="other", module="acme_other")
    vecbridge.get_backend("probe")
    assert "acme_probe" in sys.modules
    assert "acme_other" not in sys.modules


def test_an_unknown_name_gets_the_nearest_and_the_list(install: Install) -> None:
    install()
    with pytest.raises(vecbridge.UnknownBackendError) as caught:
        vecbridge.get_backend("Prob")
    message = str(caught.value)
    assert "'Prob' (did you mean 'probe'?)" in message
    assert f"Installed backends: {', '.join(vecbridge.backend_names())}" in message
    assert isinstance(caught.value, LookupError)


def test_an_unknown_name_is_quoted_as_it_was_asked_for() -> None:
    with pytest.raises(vecbridge.UnknownBackendError, match="'vecbridge_nothing'"):
        vecbridge.get_backend("vecbridge_nothing")


def test_a_name_that_is_no_string_is_refused() -> None:
    with pytest.raises(vecbridge.InvalidArgumentError, match="got int"):
        vecbridge.get_backend(3)  # type: ignore[arg-type]


def test_two_providers_of_a_name_are_both_named(install: Install) -> None:
    install()
    install(distribution="zeta-probe", module="zeta_probe")
    with pytest.raises(vecbridge.AmbiguousBackendError) as caught:
        vecbridge.get_backend("probe")
    assert "acme-probe (acme_probe:ProbeBackend)" in str(caught.value)
    assert "zeta-probe (zeta_probe:ProbeBackend)" in str(caught.value)
    assert "acme_probe" not in sys.modules


def test_a_prefix_that_is_part_of_a_registered_name_stays(install: Install) -> None:
    install()
    install("vecbridge_probe", distribution="other", module="acme_other")
    vecbridge.get_backend("vecbridge_probe")
    assert "acme_other" in sys.modules
    assert "acme_probe" not in sys.modules


def test_the_environment_names_the_default(
    install: Install, monkeypatch: pytest.MonkeyPatch, brain_config: BrainConfig
) -> None:
    install()
    brain_config({"default_similarity_backend": "nothing"})
    monkeypatch.setenv(DEFAULT, "vecbridge_probe")
    assert vecbridge.get_backend().name == "probe"


def test_the_file_names_the_default(install: Install, brain_config: BrainConfig) -> None:
    install()
    brain_config({"default_similarity_backend": "probe"})
    assert vecbridge.get_backend().name == "probe"


@pytest.mark.parametrize("configured", [{}, {"default_similarity_backend": "sklearn"}])
def test_the_last_default_is_sklearn(configured: Any, brain_config: BrainConfig) -> None:
    brain_config(configured)
    assert vecbridge.get_backend().name == "sklearn"


def test_an_unknown_default_names_who_set_it(
    monkeypatch: pytest.MonkeyPatch, brain_config: BrainConfig
) -> None:
    path = brain_config({"default_similarity_backend": "mosaic"})
    with pytest.raises(vecbridge.UnknownBackendError, match=f"'mosaic' .default in {path}"):
        vecbridge.get_backend()
    monkeypatch.setenv(DEFAULT, "pinecone")
    with pytest.raises(vecbridge.UnknownBackendError, match=f"'pinecone'.*variable {DEFAULT}"):
        vecbridge.get_backend()


def test_a_default_that_is_no_name_is_refused(brain_config: BrainConfig) -> None:
    brain_config({"default_similarity_backend": ["probe"]})
    with pytest.raises(vecbridge.ConfigurationError, match="name of a backend; found an array"):
        vecbridge.get_backend()


@pytest.mark.parametrize(
    ("extras", "requirement"), [(("probe",), "acme-probe[probe]"), (("gpu",), "acme-probe")]
)
def test_a_missing_package_names_what_to_install(
    extras: tuple[str, ...], requirement: str, install: Install
) -> None:
    install(source="import absent_package", extras=extras)
    with pytest.raises(vecbridge.MissingDependencyError) as caught:
        vecbridge.get_backend("probe")
    message = str(caught.value)
    assert "'absent_package'" in message
    assert f'pip install "{requirement}"' in message
    assert caught.value.name == "absent_package"
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


EVIL = "class Evil(Exception):\n    def __str__(self): raise RuntimeError('in str')"
METADATA = [b"\xff\xfe\0\1", b"Version: 1\n", b"\n", b"Name: \xe9\n", b"Name:\n"]
BROKEN = [
    "import json.absent_part",
    "from json import absent_name",
    "raise ImportError('libgpu.so: cannot open')",
    "import acme_probe.absent_part",
    "raise SystemExit(3)",
    "raise ZeroDivisionError('here')",
    "def (",
    "raise GeneratorExit",
    "class Odd(BaseException): pass\nraise Odd('mongodb://me:hunter2@h')",
    "raise ImportError('cannot import \\ud800')",
    "raise ModuleNotFoundError('gone', name=5)",
    f"{EVIL}\nraise Evil",
    f"{EVIL}\nclass Worse(Evil, ImportError): pass\nraise Worse",
    (
        "class Text(str):\n    encode = __format__ = None\nclass E(Exception):\n"
        "    def __str__(self): return Text('\\ud800')\nraise E"
    ),
    "class E(Exception):\n    def __str__(self): return 5\nraise E",
    "x = 1",
    "def f(): f()\nf()",
    (
        "class Meta(type):\n    @property\n    def settings_type(cls): raise RuntimeError('no')\n"
        "class ProbeBackend(metaclass=Meta): pass"
    ),
    "ProbeBackend = None",
    f"{PROBE}\n    def __new__(cls, settings): raise OSError(str(settings.password))",
    f"{PROBE}\n    def __new__(cls): pass",
    f"{PROBE}\n    def __new__(cls, settings): raise OSError('\\ud800')",
    f"{EVIL}\n{PROBE}\n    def __new__(cls, settings): raise Evil",
    f"{EVIL}\n{PROBE}\n    @property\n    def name(self): raise Evil",
    f"{EVIL}\n{PROBE}".replace("if self.user", "raise Evil\n        if self.user"),
    f"{EVIL}\nclass Worse(Evil, ValueError): pass\n{PROBE}".replace(
        "if self.user", "raise Worse\n        if self.user"
    ),
]


@pytest.mark.parametrize("source", BROKEN)
def test_a_broken_package_is_named_and_breaks_no_other_backend(
    source: str, install: Install
) -> None:
    install(source=source)
    with pytest.raises(vecbridge.ConfigurationError, match="probe") as caught:
        vecbridge.get_backend("probe", password="hunter2")
    assert "hunter2" not in str(caught.value)
    assert vecbridge.get_backend("sklearn").name == "sklearn"
    (found, *_) = diagnose("probe")
    assert (found.check, found.status) == ("settings", "failed")
    str(caught.value).encode()


class Stop(BaseException):
    """A time limit's own exception."""


class Raising:
    """A signal handler, in the forms that Python takes."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise self.error

    def method(self, number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        self(number, frame)

    def forms(self) -> list[Callable[[int, FrameType | None], None]]:
        def function(*given: object) -> None:
            raise self.error

        return [self, self.method, function, functools.partial(function, "more")]


@pytest.mark.parametrize(
    ("place", "form"), [*(("import", form) for form in range(4)), ("making", 2)]
)
@pytest.mark.parametrize("kind", [Stop, KeyboardInterrupt, SystemExit, TimeoutError, ImportError])
def test_what_a_signal_handler_raises_is_no_fault_of_the_package(
    place: str, kind: type[BaseException], form: int, install: Install
) -> None:
    ring = "import signal; signal.raise_signal(signal.SIGUSR1)"
    start = f"{ring}\n{PROBE}"
    install(source=start if place == "import" else PROBE + f"        {ring}\n")
    error = kind("now")
    before = signal.signal(signal.SIGUSR1, Raising(error).forms()[form])
    try:
        with pytest.raises(kind) as caught:
            vecbridge.get_backend("probe")
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        assert vecbridge.get_backend("probe").name == "probe"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert caught.value is error


def test_what_a_signal_handler_raises_while_packages_are_listed_comes_through(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Ringing:
        rings = 1

        def find_spec(self, *_: object) -> None:
            return None

        def find_distributions(self, *_: object) -> list[Any]:
            if self.rings:
                self.rings -= 1
                signal.raise_signal(signal.SIGUSR1)
            return []

    monkeypatch.setattr(sys, "meta_path", [Ringing(), *sys.meta_path])
    monkeypatch.syspath_prepend(str(tmp_path))
    before = signal.signal(signal.SIGUSR1, Raising(TimeoutError("now")))
    try:
        with pytest.raises(TimeoutError, match="now"):
            vecbridge.backend_names()
        assert "sklearn" in vecbridge.backend_names()
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("metadata", METADATA)
@pytest.mark.parametrize("source", [PROBE, "raise ImportError('no')", "import absent_package"])
def test_metadata_that_cannot_be_read_is_that_packages_fault(
    metadata: bytes, source: str, install: Install
) -> None:
    install(source=source, metadata=metadata)
    assert {"probe", "sklearn"} <= set(vecbridge.backend_names())
    assert vecbridge.get_backend("sklearn").name == "sklearn"
    if source == PROBE:
        assert vecbridge.get_backend("probe").name == "probe"
        return
    kind = vecbridge.ConfigurationError if "raise" in source else vecbridge.MissingDependencyError
    with pytest.raises(kind, match=r"backend 'probe' .*acme"):
        vecbridge.get_backend("probe")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[vecbridge.backends]\nno sign\n", b"\0"])
def test_entry_points_that_cannot_be_read_hide_no_other_backend(
    content: bytes, install: Install
) -> None:
    install("other", distribution="other", module="acme_other")
    before = vecbridge.backend_names()
    install(entry_points=content)
    assert vecbridge.backend_names() == before
    assert vecbridge.get_backend("other").name == "probe"


def test_a_backend_that_is_not_there_itself_is_not_a_missing_dependency(install: Install) -> None:
    install(source=PROBE)
    for site in [path for path in sys.path if "site-acme-probe" in path]:
        Path(site, "acme_probe.py").unlink()
    with pytest.raises(vecbridge.ConfigurationError, match="acme-probe") as caught:
        vecbridge.get_backend("probe")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize("source", ["ProbeBackend = 3", "class ProbeBackend: settings_type = dict"])
def test_an_entry_point_that_names_no_backend_is_refused(source: str, install: Install) -> None:
    install(source=source)
    with pytest.raises(
        vecbridge.ConfigurationError, match=r"acme_probe:ProbeBackend.*not a backend"
    ):
        vecbridge.get_backend("probe")


def test_a_late_import_of_a_missing_package_names_the_extra() -> None:
    with (
        pytest.raises(vecbridge.MissingDependencyError, match=r'pip install "vecbridge\[milvus\]"'),
        dependencies_of("milvus"),
    ):
        __import__("absent_package")


def test_a_late_import_that_fails_otherwise_comes_through() -> None:
    with pytest.raises(ModuleNotFoundError) as caught, dependencies_of("milvus"):
        __import__("json.absent_part")
    assert not isinstance(caught.value, vecbridge.VecbridgeError)


def test_importing_vecbridge_imports_nothing_that_only_configuration_needs() -> None:
    heavy = "pydantic importlib.metadata difflib json sklearn pymilvus faiss torch fiftyone"
    # -S -E: what a .pth file or a development tool imports at start-up is not of our doing.
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; "
        f"import numpy; numpys = set(sys.modules); import vecbridge; "
        f"print([name for name in {heavy.split()} if name in sys.modules.keys() - numpys])"
    )
    command = [sys.executable, "-S", "-E", "-c", code]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "[]"
