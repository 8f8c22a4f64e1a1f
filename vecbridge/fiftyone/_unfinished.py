"""What is left of an embedding step that was interrupted, so that it can go on.

The facts are a run of the dataset's (``dataset.list_runs()``), from the first embedding that is
written until the similarity run is registered. No setting of a backend is among them.
"""

from __future__ import annotations

import logging
from typing import Any

from vecbridge._errors import IndexNotFoundError
from vecbridge.fiftyone._handle import unique_name

logger = logging.getLogger(__name__)

_PREFIX = "vecbridge_unfinished_"


class Attempt:
    """One call of ``compute_similarity``, and what an interrupted one left to it.

    Its configuration is given the name of a collection, where it has none.

    Args:
        dataset: the dataset.
        brain_key: key of the similarity run; without one, nothing outlives an interruption.
        config: configuration of the run.
    """

    def __init__(self, dataset: Any, brain_key: str | None, config: Any) -> None:
        self._dataset = dataset
        self._key = None if brain_key is None else _PREFIX + brain_key
        self._config = config
        self._step = step_of(config)
        earlier = self._earlier()
        self.resumed = earlier is not None and self._is_same(earlier)
        self._own_name = config.collection_name is None
        if earlier is not None and self.resumed:
            config.collection_name = earlier["collection_name"]
            self._own_name = earlier["own_name"]
        elif earlier is not None:
            self._discard(earlier)
        if config.collection_name is None:
            config.collection_name = unique_name(dataset.name, brain_key)

    def begin(self) -> None:
        """Keeps the facts, from here on."""
        if self._key is None:
            return
        self.end()
        facts = {"collection_name": self._config.collection_name, "own_name": self._own_name}
        owner = str(self._dataset._doc.id)
        config = self._dataset.init_run(**facts, step=self._step, dataset=owner)
        self._dataset.register_run(self._key, config)

    def end(self) -> None:
        """Forgets the facts: the step is complete, or left nothing."""
        if self._key is not None and self._dataset.has_run(self._key):
            self._dataset.delete_run(self._key)

    def _earlier(self) -> dict[str, Any] | None:
        if self._key is None or not self._dataset.has_run(self._key):
            return None
        stored = self._dataset.get_run_info(self._key).config.serialize()
        if stored.get("dataset") not in {None, str(self._dataset._doc.id)}:
            # A clone has the facts of the original, whose index is none of its business.
            return None
        return {name: stored.get(name) for name in ("collection_name", "own_name", "step")}

    def _is_same(self, earlier: dict[str, Any]) -> bool:
        wanted = self._config.collection_name
        return earlier["step"] == self._step and wanted in {None, earlier["collection_name"]}

    def _discard(self, earlier: dict[str, Any]) -> None:
        """Takes away what an attempt that nobody goes on with had written, where it is its own."""
        self.end()
        name, backend = earlier["collection_name"], earlier["step"]["backend"]
        wanted = name == self._config.collection_name
        if wanted or not earlier["own_name"] or backend != self._config.backend_name:
            return
        try:
            self._config.connect().drop_index(name)
        except IndexNotFoundError:
            return
        logger.info("Dropped %r, which was left unfinished", name)


def step_of(config: Any) -> dict[str, Any]:
    """What a configuration embeds, and how."""
    names = ("metric", "model_kwargs", "patches_field", "roi_field", "embeddings_field")
    facts = {name: getattr(config, name) for name in names}
    return {**facts, "backend": config.backend_name, "model": config.model_name}
