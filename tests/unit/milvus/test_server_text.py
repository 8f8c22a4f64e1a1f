"""The text that is sent means the same to servers that cannot be run here.

``VECBRIDGE_FILTERS`` says how many filters are tried.
"""

from __future__ import annotations

import pytest

from tests.filters.asking import how_many, wanted
from tests.filters.making import COUNT, FIELDS, TEXTS, conditions, ids, to_filter
from tests.filters.servers import ServerError, parsed, served
from tests.servers.milvus_wire import Wire
from tests.unit.milvus.written import Written
from vecbridge import Filter, InvalidArgumentError, Store, field
from vecbridge.filters import settle

BAND = "(vecbridge_norm >= 1e-18) and (vecbridge_norm <= 1e+18)"


@pytest.fixture
def server(wire: Wire, store: Store) -> Written:
    return Written(wire, store, FIELDS)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('pk == "\U00020bb7"', "\u0bb7"),
        ('pk == "\U00020000"', "\0"),
        ('pk == "\\U00020BB7\u65e5"', "\U00020bb7\u65e5"),
    ],
)
def test_the_model_takes_characters_of_more_than_16_bits_for_others(text: str, fault: str) -> None:
    assert parsed(text) == ("compare", "pk", "==", fault)


def test_the_model_has_the_faults_of_the_servers() -> None:
    lost = served("(i > 0 and i <= 1) or (i >= 0 and i <= 2)")
    assert lost != served("not ((not (i > 0 and i <= 1)) and (not (i >= 0 and i <= 2)))")
    with pytest.raises(ServerError, match="assertion"):
        served("(i in [1,2]) or (i != 1)")
    assert served('(t == "cat") or (i > 1)') == served('t == "cat"')
    with pytest.raises(ServerError, match="deep"):
        parsed("(" * 48 + "i == 1" + ") or (i == 2)" * 48)


@pytest.mark.slow
def test_servers_of_today_read_filters_as_they_mean(server: Written) -> None:
    wrong = []
    for condition in conditions(how_many(1500), seed=3):
        try:
            settled = settle(to_filter(condition), FIELDS)
        except InvalidArgumentError:
            found: int | str = "refused"
        else:
            if isinstance(settled, bool):
                found = (1 << COUNT) - 1 if settled else 0
            else:
                try:
                    found = served(server.settled(settled))
                except ServerError as error:
                    found = str(error)
        if found != wanted(condition):
            wrong.append(f"{condition!r:.200}")

    assert wrong == []


def test_servers_of_today_read_ids_as_they_are(server: Written) -> None:
    names = ids()
    hostile = [*names, *(text for text in TEXTS if 0 < len(text) < 300)]
    for name in hostile:
        places = [place for place, other in enumerate(names) if other == name]
        assert served(server.keys([name])) == sum(1 << place for place in places), name
        later = sum(1 << place for place, other in enumerate(names) if other > name)
        assert served(server.after(name)) == later, name
        assert served(server.until(name)) == (1 << COUNT) - 1 - later, name
    for start in range(0, COUNT, 7):
        part = names[start : start + 20]
        assert served(server.keys(part)) == ((1 << len(part)) - 1) << start


def test_the_largest_filter_that_is_settled_is_no_deeper_than_servers_take(server: Written) -> None:
    least = field("i").is_in([-(2**63), 1, 2])
    where: Filter = least
    # Both kinds in turn: a chain of one kind would be balanced.
    for number in range(20):
        where = where | ~least if number % 2 else where & least
    settled = settle(where, FIELDS)
    assert not isinstance(settled, bool)
    with pytest.raises(InvalidArgumentError, match="20 levels"):
        settle(where & least, FIELDS)
    # As a search within a list of ids sends it, with the band of norms around it.
    parsed(f"({server.settled(settled, within=['a'])}) and {BAND}")
