"""Look at an index: figures and pictures of its records, on one page.

Bounded, however large the index: a sample of records is looked at, and the page says how many.
"""

from __future__ import annotations

from vecbridge.report._distribution import Distribution
from vecbridge.report._neighborhoods import Neighborhoods, Twins
from vecbridge.report._page import document, html_page
from vecbridge.report._recall import Recall
from vecbridge.report._survey import Survey, survey

__all__ = [
    "Distribution",
    "Neighborhoods",
    "Recall",
    "Survey",
    "Twins",
    "document",
    "html_page",
    "survey",
]
