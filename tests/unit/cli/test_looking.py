from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run
from vecbridge.diagnosis import Finding
from vecbridge_sklearn import SklearnBackend


def test_without_words_it_says_what_there_is(run: Run) -> None:
    ran = run()
    assert ran.code in {0, 2}
    for command in ("backends", "doctor", "copy", "verify", "export", "config", "conformance"):
        assert command in ran.out + ran.err


@pytest.mark.slow  # imports every engine
def test_backends_are_listed(run: Run) -> None:
    states = {each["name"]: each["state"] for each in run("backends", "--json").json}
    ours = dict.fromkeys(["faiss", "milvus", "sklearn"], "installed")
    ours["torch"] = "installed" if find_spec("torch") else "not installed"
    assert ours.items() <= states.items()
    assert "sklearn" in run("backends").out


def test_a_backend_that_cannot_be_configured_says_so(run: Run, no_configuration: Path) -> None:
    no_configuration.write_text('{"similarity_backends": {"faiss": {"patj": "x"}}}')
    (faiss,) = (each for each in run("backends", "--json").json if each["name"] == "faiss")
    assert faiss["state"] == "not configured"
    assert "'patj'" in faiss["advice"]


BROKEN = {
    "surrogate": ("raise ImportError('cannot \\ud800')", b"Name: acme-broken\n"),
    "message": ("class E(Exception):\n    def __str__(self): raise OSError\nraise E", b"Name: a\n"),
    "metadata": ("class Backend: pass", b"Name: \xff\xfe\n"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("json", [(), ("--json",)], ids=["people", "programs"])
def test_a_broken_package_is_listed_as_that(
    kind: str,
    json: Sequence[str],
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, metadata = BROKEN[kind]
    module = f"acme_{kind}"
    info = tmp_path / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_bytes(metadata)
    (info / "entry_points.txt").write_text(f"[vecbridge.backends]\nbroken = {module}:Backend\n")
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    ran = run("backends", *json)
    assert ran.code == 0
    for said in ("broken", "not configured", f"{module}:Backend", "sklearn"):
        assert said in ran.out


def test_a_name_that_the_terminal_cannot_show_is_escaped(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    words = ("export", "sklearn", "corners", tmp_path / "\udcff.npz", "-o", f"path={folder}")
    ran = run(*words)
    assert ran.code == 0
    assert r"\udcff.npz: 4 records" in ran.out
    assert run(*words, "--force", "--json").json["path"] == str(tmp_path / "\udcff.npz")


def test_live_capabilities(run: Run) -> None:
    declared = run("backends", "--live", "sklearn", "--json").json
    assert declared["exact"] is True
    assert declared["consistency"] == ["strong"]
    assert "no limit" in run("backends", "--live", "sklearn").out


def test_indexes_are_listed_and_described(run: Run, folder: Path) -> None:
    assert run("list", "sklearn", "-o", f"path={folder}").out == "corners\n"
    assert run("list", "sklearn", "-o", f"path={folder}", "--json").json == ["corners"]
    about = run("describe", "sklearn", "corners", "-o", f"path={folder}", "--json").json
    assert (about["records"], about["dimension"], about["metric"]) == (4, 2, "euclidean")
    assert "euclidean" in run("describe", "sklearn", "corners", "-o", f"path={folder}").out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("list", "sklern"), 2, "did you mean 'sklearn'"),
        (("list", "sklearn", "-o", "pth=x"), 2, "did you mean 'path'"),
        (("list", "sklearn", "-o", "secretvalue"), 2, "KEY=VALUE"),
        (("describe", "sklearn", "nothing"), 1, "no index named 'nothing'"),
        (("search", "sklearn", "corners"), 2, "one of --id, --vector and --vector-file"),
        (("list", "milvus", "-o", "uri=http://127.0.0.1:1", "-o", "timeout=2"), 3, "127.0.0.1:1"),
    ],
)
def test_what_goes_wrong_is_one_clear_line_and_an_exit_code(
    run: Run, words: tuple[str, ...], code: int, said: str
) -> None:
    ran = run(*words)
    assert ran.code == code
    assert said in " ".join(ran.err.split())
    assert "Traceback" not in ran.err


def test_settings_are_shown_with_their_sources_and_without_secrets(
    run: Run, monkeypatch: pytest.MonkeyPatch, no_configuration: Path
) -> None:
    monkeypatch.setenv("FIFTYONE_BRAIN_SIMILARITY_MILVUS_PASSWORD", "hunter2")
    no_configuration.write_text('{"similarity_backends": {"milvus": {"user": "ann"}}}')
    ran = run("config", "show", "milvus", "--json")
    rows = {each["name"]: each for each in ran.json}
    assert rows["password"]["secret"] is True
    assert "PASSWORD" in rows["password"]["source"]
    assert rows["user"]["value"] == "ann"
    assert str(no_configuration) in rows["user"]["source"]
    assert "hunter2" not in ran.out + run("config", "show", "milvus").out


def test_a_configuration_is_checked_for_every_backend(run: Run, no_configuration: Path) -> None:
    assert run("config", "check", "--json").json == {"ok": True, "problems": {}}
    no_configuration.write_text('{"similarity_backends": {"milvus": {"tokn": "hunter2"}}}')
    ran = run("config", "check", "--json")
    assert ran.code == 2
    assert "did you mean 'token'" in ran.json["problems"]["milvus"]
    assert "hunter2" not in ran.out
    assert run("config", "check").code == 2
    no_configuration.write_text('{"similarity_backends": {"lancedb": {"table_names": {"a": "b"}}}}')
    assert "'uri' is needed" in run("config", "check", "--json").json["problems"]["lancedb"]


def test_the_doctor_finds_a_store_healthy_and_leaves_nothing(run: Run, folder: Path) -> None:
    found = run("doctor", "sklearn", "-o", f"path={folder}", "--json").json
    assert found["ok"] is True
    checks = [each["check"] for each in found["findings"]]
    assert checks == ["settings", "store", "index corners", "write and read", "consistency"]
    assert run("list", "sklearn", "-o", f"path={folder}").out == "corners\n"
    assert "✓" in run("doctor", "sklearn", "-o", f"path={folder}", "--read-only").out


def test_the_doctor_says_what_to_do(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = run("doctor", "milvus", "-o", "uri=http://127.0.0.1:1", "-o", "timeout=2", "--json")
    assert (ran.code, ran.json["ok"]) == (1, False)
    assert "Start a Milvus server" in ran.json["findings"][-1]["found"]
    sick = [Finding("lag", "warning", "[slow]", "wait")]
    monkeypatch.setattr(SklearnBackend, "diagnose", lambda _: iter(sick), raising=False)
    ran = run("doctor", "sklearn", "--read-only")
    assert (ran.code, "[slow]" in ran.out, "wait" in ran.out) == (0, True, True)


def test_the_doctor_names_the_option_that_is_wrong(run: Run) -> None:
    ran = run("doctor", "sklearn", "-o", "metric=bad")
    assert ran.code == 1
    assert "'metric' from --option" in ran.out
    assert "keyword argument" not in ran.out


def test_the_suite_is_reached(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # Another test of this process may have imported it, and to run it again is warned of.
    monkeypatch.delitem(sys.modules, "vecbridge_conformance.__main__", raising=False)
    assert run("conformance", "explain", "NONE-1").code == 2


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [("fiftyone", "fiftyone", "fiftyone"), ("conformance", "hypothesis", "conformance")],
)
def test_a_part_that_is_not_installed_says_how_to_get_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    ran = run(command, "status")
    assert ran.code == 2
    assert f"pip install 'vecbridge[{extra}]'" in ran.err


def test_an_empty_store_says_so_where_scripts_do_not_read(run: Run, tmp_path: Path) -> None:
    ran = run("list", "sklearn", "-o", f"path={tmp_path}")
    assert (ran.code, ran.out) == (0, "")
    assert "no indexes" in ran.err


def test_what_is_described_reads_well(run: Run, folder: Path) -> None:
    shown = run("describe", "sklearn", "corners", "-o", f"path={folder}").out
    assert "name (string)" in shown
    assert "no limit" in shown


def test_the_default_backend_is_named(run: Run) -> None:
    assert "Settings of sklearn, the default backend" in run("config", "show").out


def test_the_version(run: Run) -> None:
    ran = run("--version")
    assert (ran.code, ran.out) == (0, f"vecbridge {version('vecbridge')}\n")
