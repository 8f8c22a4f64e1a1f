"""Parts of the operators' forms: a choice, a metric, and a store with its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from fiftyone.operators import types

from vecbridge import METRICS, Metric, VecbridgeError, backend_names
from vecbridge.fiftyone._stores import setting_names, settings_type
from vecbridge.fiftyone.plugin._runs import WHERE, Target
from vecbridge.settings import Settings

_METRICS: dict[Metric, str] = {
    "cosine": "the angle between two vectors; what most models are made for",
    "dotproduct": "the angle and the lengths; for models that were trained with it",
    "euclidean": "the straight-line distance between two vectors",
}
_ELSEWHERE = {"timeout", "retry_timeout"}
"""Settings that are not chosen for one index."""


def ask_choice(
    form: types.Object,
    name: str,
    label: str,
    values: Sequence[str],
    chosen: Any,
    *,
    required: bool = True,
    description: str | None = None,
) -> None:
    """Add a list of which one is chosen; a choice that is not in it any more is forgotten."""
    view = types.DropdownView()
    for value in values:
        view.add_choice(value, label=value)
    form.enum(
        name,
        view.values(),
        label=label,
        description=description,
        view=view,
        required=required,
        default=chosen if chosen in values else None,
    )


def ask_metric(form: types.Object) -> None:
    """Add the choice of a metric, each with what it measures."""
    view = types.RadioGroup(orientation="vertical")
    for metric in METRICS:
        view.add_choice(metric, label=f"{metric}: {_METRICS[metric]}")
    form.enum("metric", view.values(), label="Metric", view=view, required=True, default="cosine")


def ask_store(form: types.Object, ctx: Any, label: str) -> None:
    """Add the questions for a store: the backend, where it is, and how it is set up.

    A setting is asked for as what it is; what is left empty is read from the configuration.
    """
    given = ctx.params
    ask_choice(form, "backend", label, backend_names(), given.get("backend"))
    form.str(
        "place",
        label="Path or address",
        description="Leave empty to use the configuration. Passwords and tokens belong in the "
        "environment.",
        default="",
    )
    backend = given.get("backend")
    if backend not in backend_names():
        return
    try:
        asked = dict(_asked_settings(backend))
    except VecbridgeError as error:
        form.view("not_there", types.Warning(label=str(error)))
        return
    if not asked:
        return
    form.bool("more", label=f"Show the settings of {backend}", default=False)
    if given.get("more"):
        for name, (words, default) in asked.items():
            described = f"Default: {default}" if default not in (None, "") else None
            if words:
                ask_choice(
                    form,
                    _key(backend, name),
                    name,
                    words,
                    given.get(_key(backend, name)),
                    required=False,
                    description=described,
                )
            else:
                form.str(_key(backend, name), label=name, description=described, default="")


def store_of(given: Mapping[str, Any]) -> Target:
    """Return the store that a form names; answers that are about another backend do not count."""
    backend = str(given["backend"])
    settings: dict[str, str] = {}
    if given.get("more"):
        texts = {name: text_of(given, _key(backend, name)) for name in setting_names(backend)}
        settings = {name: text for name, text in texts.items() if text}
    return Target(backend, text_of(given, "place"), settings)


def text_of(given: Mapping[str, Any], name: str) -> str:
    """Return what was written into a form, without spaces around it."""
    return str(given.get(name) or "").strip()


def _key(backend: str, name: str) -> str:
    # A form keeps what was written into it while another backend was chosen.
    return f"{backend}_{name}"


def _asked_settings(backend: str) -> Iterator[tuple[str, tuple[list[str], Any]]]:
    """Yield the settings that a form can ask for, with the words that they take and the default.

    Secrets are not among them: FiftyOne keeps what is written into a form.
    """
    kind: type[Settings] = settings_type(backend)
    kept_back = {*WHERE, *_ELSEWHERE}
    for name in sorted(setting_names(backend) - kept_back, key=list(kind.model_fields).index):
        field = kind.model_fields[name]
        parts = set(_parts(field.annotation)) - {type(None)}
        if bool in parts:
            yield name, (["true", "false"], field.default)
        elif words := [part for part in parts if isinstance(part, str)]:
            yield name, (sorted(words), field.default)
        elif parts <= {str, int, float}:
            yield name, ([], field.default)


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the types of a union, and the words of a literal, of which an annotation is made."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal or not arguments:
        yield from arguments or (annotation,)
    elif get_origin(annotation) in (dict, list, tuple):
        yield get_origin(annotation)
    elif hasattr(annotation, "__metadata__"):
        yield from _parts(arguments[0])
    else:
        for each in arguments:
            yield from _parts(each)
