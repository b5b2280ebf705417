"""A lifecycle of one's own: an order, its shipments, their parcels. Three kinds, two cascades, five rules of progress.

`kernel spec check --spec FILE` explores it, `kernel spec prove --spec FILE` proves it for any number of shipments and parcels,
`kernel diagram --spec FILE` draws it. `SPEC` is the specification, `SHAPES` is what is explored.
"""

from __future__ import annotations

from kernel.formal.rows import One, Rows
from kernel.spec import (
    ABSENT,
    Enter,
    F,
    Field,
    Fire,
    Guard,
    Kind,
    Link,
    Lit,
    Nature,
    Place,
    Property,
    Refusal,
    Row,
    Sort,
    Spec,
    Step,
    Table,
    both,
    either,
    every,
    implies,
    is_,
    lt,
    no,
    plus,
    some,
    then_,
)

# ---- kinds and links --------------------------------------------------------------------------------------------------
ENDED = ("COMPLETED", "FAILED", "CANCELED")
CLOSED = ("ARRIVED", "LOST", "CALLED_OFF")
SETTLED = ("HANDED_OVER", "MISSING", "RETURNED")

ORDER = Kind("order", (ABSENT, "OPEN", *ENDED), ENDED, (), (), {ABSENT: 2, "OPEN": 1, **dict.fromkeys(ENDED, 0)},
             badly=("FAILED", "CANCELED"))
SHIPMENT = Kind("shipment", (ABSENT, "PACKING", "UNDER_WAY", *CLOSED), CLOSED, (), (),
                {ABSENT: 3, "PACKING": 2, "UNDER_WAY": 1, **dict.fromkeys(CLOSED, 0)}, badly=("LOST", "CALLED_OFF"))
PARCEL = Kind(
    "parcel", (ABSENT, "WAITING", "PACKED", *SETTLED), SETTLED,
    fields=(Field("rung", Sort.COUNT, "how often the carrier rang in vain"),),
    attributes=(Field("patience", Sort.COUNT, "how often the carrier rings"),),
    rank={ABSENT: 3, "WAITING": 2, "PACKED": 1, **dict.fromkeys(SETTLED, 0)}, badly=("MISSING", "RETURNED"))

LINKS = (
    #    name          source      target
    Link("part_of",    "shipment", "order",    "the order that it is part of", one=True),
    Link("packed_in",  "parcel",   "shipment", "the shipment that it is packed in", one=True),
    Link("shipments",  "order",    "shipment", "its shipments", covers=("shipments",), back=("part_of",)),
    Link("parcels",    "shipment", "parcel",   "its parcels", covers=("parcels",), back=("packed_in",)),
    Link("contents",   "order",    "parcel",   "the parcels of its shipments", covers=("contents", "parcels"),
         back=("packed_in", "part_of")),
)

# ---- named conditions -------------------------------------------------------------------------------------------------
order_open = Guard("order open", is_("OPEN", of=("part_of",)), "its order has ended")
packing = Guard("shipment being packed", is_("PACKING", of=("packed_in",)), "its shipment has left")
under_way = Guard("shipment under way", is_("UNDER_WAY", of=("packed_in",)), "its shipment is not under way")
rings_again = Guard("rings again", lt(plus(F("rung"), 1), F("patience")), "the carrier does not ring again")
last_ring = Guard("last ring", no(rings_again), "the carrier rings again")
packed = Guard("packed", is_("PACKED"))
handed_over = Guard("handed over", is_("HANDED_OVER"))
arrived = Guard("arrived", is_("ARRIVED"))
failed = Guard("lost or called off", is_("LOST", "CALLED_OFF"))
absent = Guard("absent", is_(ABSENT))
present = Guard("present", no(absent))
ended = Guard("ended", is_(*ENDED))
not_open = Guard("not open", no(is_("PACKING", "UNDER_WAY")))
not_about = Guard("not about", no(is_("WAITING", "PACKED")))

# ---- tables -----------------------------------------------------------------------------------------------------------
def refused(event: str, source: tuple[str, ...], done: str, *, new: str = "it does not exist") -> tuple[Refusal, ...]:
    """The event is refused on what is not there, and in these states."""
    return (Refusal(event, (ABSENT,), new), Refusal(event, source, done))


TABLES = (
    Table(
        ORDER,
        rows=(
            Row("PLACE", (ABSENT,), "OPEN"),
            Row("COMPLETE", ("OPEN",), "COMPLETED"),
            Row("FAIL", ("OPEN",), "FAILED"),
            Row("CANCEL", ("OPEN",), "CANCELED"),
        ),
        no_ops=(),
        refusals=(
            Refusal("PLACE", ("OPEN", *ENDED), "it was placed already"),
            *refused("COMPLETE", ENDED, "it has ended"), *refused("FAIL", ENDED, "it has ended"),
            *refused("CANCEL", ENDED, "it has ended"),
        )),
    Table(
        SHIPMENT,
        rows=(
            Row("CREATE", (ABSENT,), "PACKING"),
            Row("LEAVE", ("PACKING",), "UNDER_WAY"),
            Row("ARRIVE", ("UNDER_WAY",), "ARRIVED"),
            Row("LOSE", ("UNDER_WAY",), "LOST"),
            Row("CALL_OFF", ("PACKING", "UNDER_WAY"), "CALLED_OFF"),
        ),
        no_ops=(),
        refusals=(
            Refusal("CREATE", ("PACKING", "UNDER_WAY", *CLOSED), "it exists"),
            *refused("LEAVE", ("UNDER_WAY", *CLOSED), "it has left, or is closed"),
            *refused("ARRIVE", ("PACKING", *CLOSED), "it is not under way"),
            *refused("LOSE", ("PACKING", *CLOSED), "it is not under way"),
            *refused("CALL_OFF", CLOSED, "it is closed"),
        )),
    Table(
        PARCEL,
        rows=(
            Row("CREATE", (ABSENT,), "WAITING"),
            Row("PACK", ("WAITING",), "PACKED", (packing,)),
            Row("HAND_OVER", ("PACKED",), "HANDED_OVER", (under_way,)),
            Row("RING", ("PACKED",), "PACKED", (under_way, rings_again), {"rung": plus(F("rung"), 1)}),
            Row("RING", ("PACKED",), "MISSING", (under_way, last_ring), {"rung": plus(F("rung"), 1)}),
            Row("RETURN", ("WAITING", "PACKED"), "RETURNED"),
        ),
        no_ops=(),
        refusals=(
            Refusal("CREATE", ("WAITING", "PACKED", *SETTLED), "it exists"),
            *refused("PACK", ("PACKED", *SETTLED), "it is packed, or settled"),
            *refused("HAND_OVER", ("WAITING", *SETTLED), "it is not packed, or settled"),
            *refused("RING", ("WAITING", *SETTLED), "it is not packed, or settled"),
            *refused("RETURN", SETTLED, "it is settled"),
        )),
)

# ---- what one commit does ---------------------------------------------------------------------------------------------
COMMANDS = (
    Step("PLACE",     "order",    (Fire("PLACE"), Fire("CREATE", "shipments"), Fire("CREATE", "contents"))),
    Step("CANCEL",    "order",    (Fire("CANCEL"),)),
    Step("CALL_OFF",  "shipment", (Fire("CALL_OFF"),)),
    Step("PACK",      "parcel",   (Fire("PACK"),), by="warehouse"),
    Step("HAND_OVER", "parcel",   (Fire("HAND_OVER"),), by="carrier"),
    Step("RING",      "parcel",   (Fire("RING"),), by="carrier"),
)
CASCADES = (
    Enter("order", ENDED, cascade=(Fire("CALL_OFF", "shipments"), Fire("RETURN", "contents")), emit=()),
    Enter("shipment", CLOSED, cascade=(Fire("RETURN", "parcels"),), emit=()),
)
PROGRESS = (
    #    name              on          does                guards
    Step("ORDER_FAILS",    "order",    (Fire("FAIL"),),     (Guard("a shipment failed", some("shipments", failed)),)),
    Step("ORDER_COMPLETE", "order",    (Fire("COMPLETE"),), (Guard("all arrived", every("shipments", arrived)),)),
    Step("GOES_ASTRAY",    "shipment", (Fire("LOSE"),),     (
        Guard("a parcel is missing", some("parcels", Guard("missing", is_("MISSING")))),)),
    Step("ARRIVES",        "shipment", (Fire("ARRIVE"),),   (Guard("all handed over", every("parcels", handed_over)),)),
    Step("LEAVES",         "shipment", (Fire("LEAVE"),),    (order_open, Guard("all packed", every("parcels", packed)))),
)

# ---- what must hold ---------------------------------------------------------------------------------------------------
def absorbing(kind: Kind) -> Property:
    """What has ended stays as it ended."""
    stays = (both(is_(state), then_(state)) for state in kind.terminal)
    return Property("SHOP-3", Nature.STEP, kind.name, f"A {kind.name} that has ended stays as it ended.",
                    either(*stays, no(is_(*kind.terminal))))


PROPERTIES = (
    Property("SHOP-1", Nature.STATE, "order", "Of an order that has ended no shipment and no parcel is on its way.",
             implies(ended, both(every("shipments", not_open), every("contents", not_about))), Place.MID),
    Property("SHOP-2", Nature.STATE, "shipment", "Of a shipment that is closed no parcel is on its way.",
             implies(is_(*CLOSED), every("parcels", not_about)), Place.MID),
    *(absorbing(table.kind) for table in TABLES),
    Property("SHOP-4", Nature.STATE, "order", "All shipments of a COMPLETED order have arrived.",
             implies(is_("COMPLETED"), every("shipments", arrived)), Place.MID),
    Property("SHOP-5", Nature.STATE, "shipment", "All parcels of a shipment that has arrived are handed over.",
             implies(is_("ARRIVED"), every("parcels", handed_over)), Place.MID),
    Property("SHOP-6", Nature.STEP, "parcel", "A parcel is handed over only while its shipment is under way.",
             implies(both(no(handed_over), then_("HANDED_OVER")), under_way)),
    Property("SHOP-7", Nature.STATE, "order", "An OPEN order has a shipment that somebody has to move.",
             implies(is_("OPEN"), some("shipments", Guard("open", no(not_open)))), Place.REST),
    Property("SHOP-8", Nature.STATE, "parcel", "The carrier does not ring more often than was agreed.",
             either(lt(F("rung"), F("patience")), both(is_("MISSING"), no(lt(F("patience"), F("rung"))))), Place.MID),
)
def together(lemma: str, kind: str, whole: str) -> Property:
    """Rows of a kind exist exactly with what they are part of."""
    there = is_(ABSENT, of=(whole,))
    return Property(lemma, Nature.STATE, kind, f"A {kind} exists exactly with what it is part of.",
                    either(both(absent, there), both(present, no(there))), Place.MID)


LEMMAS = (together("LEMMA-1", "shipment", "part_of"), together("LEMMA-2", "parcel", "packed_in"))
GIVEN = (
    Property("GIVEN-1", Nature.STATE, "parcel", "The carrier rings at least once.", lt(Lit(0), F("patience")), Place.MID),
)

SPEC = Spec(
    kinds={kind.name: kind for kind in (ORDER, SHIPMENT, PARCEL)},
    links={link.name: link for link in LINKS},
    tables={table.kind.name: table for table in TABLES},
    on_enter=CASCADES, commands=COMMANDS, progress=PROGRESS, properties=PROPERTIES, lemmas=LEMMAS, given=GIVEN,
)

# ---- what is explored -------------------------------------------------------------------------------------------------
def boxes(*shipments: tuple[int, ...]) -> Rows:
    """One order, with a parcel of this patience for each number, shipment by shipment."""
    rows = [One("order", "o")]
    for s, parcels in enumerate(shipments, 1):
        rows.append(One("shipment", f"s{s}", {"part_of": "o"}))
        rows += [One("parcel", f"p{s}{p}", {"packed_in": f"s{s}"}, {"patience": patience})
                 for p, patience in enumerate(parcels, 1)]
    return Rows(tuple(rows))


SHAPES = {
    "one": boxes((1,)), "two_parcels": boxes((2, 1)), "two_shipments": boxes((1,), (2,)), "several": boxes((2, 1), (1, 1)),
}
