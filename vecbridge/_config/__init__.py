"""Finding a backend and its settings, from the strongest source to the weakest.

Keyword arguments; ``FIFTYONE_BRAIN_SIMILARITY_<BACKEND>_<SETTING>``; the section
``similarity_backends.<backend>`` of FiftyOne's ``brain_config.json``; the backend's defaults.
A backend ``x`` is also known as ``vecbridge_x``, its name among FiftyOne's backends, and what is
configured under either name counts; one source that says two things under the two is an error.
"""
