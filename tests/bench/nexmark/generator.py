"""The three streams as Arrow tables: of 50 events one is a person, three are auctions and 46 are bids.

Deterministic: the same ``events`` and ``seed`` give the same rows, and the rows of fewer events are the first of more.
Half of the bids go to recent "hot" auctions and come from "hot" bidders, as in the published generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]

PERSONS, AUCTIONS, BIDS = 1, 3, 46
CYCLE = PERSONS + AUCTIONS + BIDS
START_MS = 1_700_000_000_000
HOT_EVERY = 20
"""Ids rounded down to this are hot."""

FIRST = ("Ada", "Bo", "Cy", "Dee", "Eli", "Fay", "Gus", "Hal", "Ivy", "Jo")
LAST = ("Ames", "Bell", "Cole", "Dunn", "Engel", "Frost", "Gray", "Hart")
PLACES = (
    ("Phoenix", "AZ"),
    ("Fresno", "CA"),
    ("Oakland", "CA"),
    ("Boise", "ID"),
    ("Portland", "OR"),
    ("Bend", "OR"),
    ("Seattle", "WA"),
    ("Cheyenne", "WY"),
)
CHANNELS = ("Google", "Facebook", "Baidu", "Apple")


@dataclass(frozen=True)
class Streams:
    """Rows in the order of their times. Columns as in ``queries.sql``; times are TIMESTAMP(3)."""

    person: pa.Table
    auction: pa.Table
    bid: pa.Table


def streams(events: int, *, seed: int = 1, events_per_second: int = 1_000) -> Streams:
    """The first ``events`` events of the auction house."""
    number = np.arange(events, dtype=np.int64)
    place = number % CYCLE
    cycle = number // CYCLE
    ms = START_MS + number * 1000 // events_per_second
    is_person, is_auction = place < PERSONS, (place >= PERSONS) & (place < PERSONS + AUCTIONS)
    is_bid = ~(is_person | is_auction)
    return Streams(
        _persons(cycle[is_person], ms[is_person], seed),
        _auctions(cycle[is_auction], place[is_auction] - PERSONS, ms[is_auction], seed),
        _bids(cycle[is_bid], number[is_bid], ms[is_bid], seed),
    )


def draw(ids: Ints, seed: int, use: int, below: int) -> Ints:
    """A number below ``below`` per id: a hash of id, seed and what it is used for (SplitMix64)."""
    with np.errstate(over="ignore"):
        x = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(
            seed * 1_000_003 + use * 7_919 + 1
        )
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x % np.uint64(below)).astype(np.int64)


def _persons(ids: Ints, ms: Ints, seed: int) -> pa.Table:
    first = pa.array(FIRST).take(pa.array(draw(ids, seed, 1, len(FIRST))))
    last = pa.array(LAST).take(pa.array(draw(ids, seed, 2, len(LAST))))
    place = pa.array(draw(ids, seed, 3, len(PLACES)))
    return pa.table(
        {
            "id": ids,
            "name": pc.binary_join_element_wise(first, last, " "),
            "emailAddress": pc.binary_join_element_wise(pc.utf8_lower(first), "example.org", "@"),
            "creditCard": _digits(draw(ids, seed, 4, 10**16), 16),
            "city": pa.array([city for city, _ in PLACES]).take(place),
            "state": pa.array([state for _, state in PLACES]).take(place),
            "dateTime": _time(ms),
            "extra": _filler(ids, seed, 5),
        }
    )


def _auctions(cycle: Ints, n: Ints, ms: Ints, seed: int) -> pa.Table:
    ids = cycle * AUCTIONS + n
    persons = cycle + 1
    hot = draw(ids, seed, 11, 4) > 0
    seller = np.where(hot, cycle // HOT_EVERY * HOT_EVERY, np.maximum(cycle - draw(ids, seed, 12, 1000), 0))
    initial = _price(ids, seed, 13)
    return pa.table(
        {
            "id": ids,
            "itemName": _text("item", draw(ids, seed, 14, 1000)),
            "description": _filler(ids, seed, 15),
            "initialBid": initial,
            "reserve": initial + _price(ids, seed, 16),
            "dateTime": _time(ms),
            "expires": _time(ms + 1 + draw(ids, seed, 17, 20_000)),
            "seller": np.minimum(seller, persons - 1),
            "category": 10 + draw(ids, seed, 18, 5),
            "extra": _filler(ids, seed, 19),
        }
    )


def _bids(cycle: Ints, number: Ints, ms: Ints, seed: int) -> pa.Table:
    auctions, persons = (cycle + 1) * AUCTIONS, cycle + 1
    hot_auction = draw(number, seed, 21, 2) > 0
    hot_bidder = draw(number, seed, 22, 4) > 0
    auction = np.where(
        hot_auction,
        (auctions - 1) // HOT_EVERY * HOT_EVERY,
        np.maximum(auctions - 1 - draw(number, seed, 23, HOT_EVERY), 0),
    )
    bidder = np.where(
        hot_bidder,
        np.minimum((persons - 1) // HOT_EVERY * HOT_EVERY + 1, persons - 1),  # not a hot seller
        np.maximum(persons - 1 - draw(number, seed, 24, 1000), 0),
    )
    known = draw(number, seed, 25, 2) > 0
    channel = draw(number, seed, 26, len(CHANNELS))
    own = draw(number, seed, 27, 10_000)
    names = pa.array(CHANNELS).take(pa.array(channel))
    page = _text("https://auctions.example.org/", draw(number, seed, 28, 100))
    tail = pc.binary_join_element_wise(page, "item.htm?query=1", "/")
    tagged = pc.binary_join_element_wise(tail, pa.array(own).cast(pa.string()), "&channel_id=")
    return pa.table(
        {
            "auction": auction,
            "bidder": bidder,
            "price": _price(number, seed, 29),
            "channel": pc.if_else(pa.array(known), names, _text("channel-", own)),
            "url": pc.if_else(pa.array(known), tail, tagged),
            "dateTime": _time(ms),
            "extra": _filler(number, seed, 30),
        }
    )


def _price(ids: Ints, seed: int, use: int) -> Ints:
    """Prices spread evenly over orders of magnitude, 100 to 100 million cents."""
    exponent = draw(ids, seed, use, 1 << 20) / (1 << 20) * 6
    return np.round(np.power(10.0, exponent) * 100).astype(np.int64)


def _time(ms: Ints) -> pa.Array:
    return pa.array(ms).cast(pa.timestamp("ms"))


def _text(prefix: str, numbers: Ints) -> pa.Array:
    return pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")


def _digits(numbers: Ints, width: int) -> pa.Array:
    return pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0")


def _filler(ids: Ints, seed: int, use: int) -> pa.Array:
    """One to three groups of 16 digits with the letter c between them."""
    one, two, three = (_digits(draw(ids, seed, use * 100 + n, 10**16), 16) for n in range(3))
    count = draw(ids, seed, use * 100 + 50, 3)
    longer = pc.binary_join_element_wise(one, two, "c")
    longest = pc.binary_join_element_wise(longer, three, "cc")
    return pc.if_else(pa.array(count == 0), one, pc.if_else(pa.array(count == 1), longer, longest))
