"""Prints the page of the mutants: ``python -m vecbridge_conformance.mutants``."""

from __future__ import annotations

import sys

from vecbridge_conformance.mutants._table import table

sys.stdout.write(table())
