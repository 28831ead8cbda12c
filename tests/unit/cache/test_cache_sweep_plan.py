"""Which files of a spool go, in every state that hypothesis thinks of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from sluice_cache.frames import Frame, TierKind
from sluice_cache.sweep_plan import Doomed, Spooled, doomed
from sluice_cache.tiers.spool_folder import Listed, pointer_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GRACE = timedelta(seconds=600)
OLD = NOW - timedelta(hours=2)
LIVE = NOW + timedelta(hours=1)


def frame(token: str, keep_until: datetime, version: int = 1) -> Frame:
    copies = {TierKind.SPOOL: token}
    return Frame(token.partition(".")[0], version, 1, 1, 1, NOW, NOW, keep_until, {}, copies)


def listed(name: str, changed: datetime = OLD) -> Listed:
    return Listed(name, 1, changed)


def going(files: list[Listed], pointed: list[Frame], known: list[Frame], held: frozenset[str] = frozenset()) -> Doomed:
    pointers = {item.copies[TierKind.SPOOL]: item for item in pointed}
    return doomed(Spooled(files, pointers, known), lambda name: name in held, NOW, GRACE)


def test_a_file_past_its_pointers_time_and_the_grace_is_expired() -> None:
    over = frame("frame-a.1.parquet", NOW - GRACE)
    assert going([listed("frame-a.1.parquet")], [over], []).expired == ("frame-a.1.parquet",)


def test_a_file_is_left_to_its_owner_for_the_grace_after_its_time() -> None:
    over = frame("frame-a.1.parquet", NOW - GRACE + timedelta(seconds=1))
    assert going([listed("frame-a.1.parquet")], [over], []) == Doomed()


def test_a_file_of_an_older_version_goes_when_a_newer_one_stands() -> None:
    files = [listed("frame-a.1.parquet"), listed("frame-a.2.parquet")]
    versions = [frame("frame-a.1.parquet", LIVE, 1), frame("frame-a.2.parquet", LIVE, 2)]
    assert going(files, versions, [versions[1]]).expired == ("frame-a.1.parquet",)


def test_a_file_without_pointer_is_an_orphan() -> None:
    assert going([listed("frame-a.1.parquet")], [], []).orphans == ("frame-a.1.parquet",)


def test_a_file_whose_pointer_cannot_be_read_is_left_to_who_wrote_it() -> None:
    assert going([listed("frame-a.1.parquet"), listed("frame-a.1.json")], [], []) == Doomed()


def test_a_file_whose_pointer_nobody_reads_for_a_month_is_an_orphan() -> None:
    ages = [timedelta(days=30), timedelta(days=29)]
    files = [[listed("frame-a.1.parquet"), listed("frame-a.1.json", NOW - age)] for age in ages]
    assert [going(both, [], []).orphans for both in files] == [("frame-a.1.parquet",), ()]


def test_a_file_whose_pointer_is_damaged_goes_after_the_grace() -> None:
    ages = [GRACE, GRACE - timedelta(seconds=1)]
    files = [[listed("frame-a.1.parquet"), listed("frame-a.1.json", NOW - age)] for age in ages]
    spooled = [Spooled(both, {}, [], ["frame-a.1.parquet"]) for both in files]
    assert [doomed(each, lambda _: False, NOW, GRACE).orphans for each in spooled] == [("frame-a.1.parquet",), ()]


def test_a_named_file_stays_whatever_its_pointer_is() -> None:
    files = [listed("frame-a.1.parquet"), listed("frame-a.1.json")]
    named = frame("frame-a.1.parquet", LIVE)
    assert doomed(Spooled(files, {}, [named], ["frame-a.1.parquet"]), lambda _: False, NOW, GRACE) == Doomed()


def test_a_file_whose_pointer_may_still_come_is_left() -> None:
    assert going([listed("frame-a.1.parquet", NOW - timedelta(seconds=599))], [], []) == Doomed()


def test_a_pointer_without_file_is_dead() -> None:
    assert going([listed("frame-a.1.json")], [], []).dead_pointers == ("frame-a.1.json",)


def test_what_another_process_is_writing_is_left_for_a_day() -> None:
    young = listed("frame-a.1.part", NOW - timedelta(hours=23))
    old = listed("frame-b.1.part", NOW - timedelta(hours=24))
    assert going([young, old], [], []).orphans == ("frame-b.1.part",)


TOKENS = st.sampled_from([f"frame-{name}.{version}.parquet" for name in "abcd" for version in (1, 2)])
TIMES = st.integers(-90_000, 90_000).map(lambda seconds: NOW + timedelta(seconds=seconds))
FRAMES = st.builds(lambda token, time: frame(token, time, int(token.split(".")[1])), TOKENS, TIMES)


@given(
    st.dictionaries(TOKENS, TIMES),
    st.lists(FRAMES, unique_by=lambda item: item.copies[TierKind.SPOOL]),
    st.lists(FRAMES),
    st.frozensets(TOKENS),
)
def test_no_file_goes_that_is_named_held_young_or_pointed_to_by_the_newest_version_in_its_time(
    times: dict[str, datetime], pointed: list[Frame], known: list[Frame], held: frozenset[str]
) -> None:
    files = [listed(name, time) for name, time in times.items()]
    files += [listed(pointer_of(item.copies[TierKind.SPOOL])) for item in pointed]
    gone = going(files, pointed, known, held)
    taken = {*gone.expired, *gone.orphans}
    named = {token for item in known for token in item.copies.values()}
    young = {name for name, time in times.items() if time > NOW - GRACE}
    versions = {
        item.frame_id: max(i.version for i in [*known, *pointed] if i.frame_id == item.frame_id) for item in pointed
    }
    live = {
        item.copies[TierKind.SPOOL]
        for item in pointed
        if item.keep_until_time > NOW - GRACE and item.version == versions[item.frame_id]
    }
    assert taken & (named | held | young | live) == set()


@given(st.dictionaries(TOKENS, TIMES), st.lists(FRAMES, unique_by=lambda item: item.copies[TierKind.SPOOL]))
def test_of_files_that_nobody_names_or_holds_none_outlasts_its_pointer_and_the_grace(
    times: dict[str, datetime], pointed: list[Frame]
) -> None:
    files = [listed(name, time) for name, time in times.items()]
    gone = going(files, pointed, [])
    over = {name for name, time in times.items() if time <= NOW - GRACE}
    lasting = {item.copies[TierKind.SPOOL] for item in pointed if item.keep_until_time > NOW - GRACE}
    assert over - lasting <= {*gone.expired, *gone.orphans}
