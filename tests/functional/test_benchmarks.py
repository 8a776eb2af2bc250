"""The measurements run, in a tiny size, and write what the plots and tables are made from."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks import plots
from benchmarks.__main__ import FORMAT, MEASUREMENTS, storm_options
from benchmarks.load import Broken, out_of_order, percentile, seconds_to_repair
from benchmarks.measuring import Headline, Spread, number_text, ratio, spread
from benchmarks.svg import Bar, bars, line
from remediator.core.history.change import Change, ChangeKind, ChangeState
from remediator.core.model.own_names import BUCKET_POLICY_SID
from remediator.core.model.write import DocumentId, DocumentKind
from tests.examples import ACCOUNT, ROLE_ARN, policy

ROOT = Path(__file__).parents[2]
TINY = {
    "repair": ("--rounds", "1"),
    "cold_start": ("--rounds", "1", "--warm-up", "0"),
    "sweep": ("--rounds", "1", "--roles", "20", "--sizes", "20,1001"),
    "evaluation": ("--rounds", "1"),
}
"""Each measurement but the storm, which deploys a whole stack."""

START = datetime(2026, 3, 4, 10, tzinfo=UTC)


@cache
def measured(name: str) -> Any:
    """What a measurement has written; each is made once."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *TINY[name], "--json", str(file)],
            cwd=ROOT,
            env=dict(os.environ),
            check=True,
            stdout=subprocess.PIPE,
        )
        return json.loads(file.read_text("utf-8"))


def committed() -> Any:
    return json.loads(plots.FIGURES.read_text("utf-8"))


def keys(value: Any) -> Any:
    """The shape of a JSON value: its keys; of a list, that of its first element."""
    if isinstance(value, dict):
        return {key: keys(inner) for key, inner in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value else None


@pytest.mark.parametrize("name", TINY)
def test_each_measurement_writes_the_form_that_is_published(name: str) -> None:
    record, published = measured(name), committed()[name]
    assert record["benchmark"] == name
    assert set(record) == set(published)
    assert [line["unit"] for line in record["headlines"]] == [line["unit"] for line in published["headlines"]]
    for member in ("beside_loop", "ratio", "noise", "as_deployed", "with_bytecode", "sizes"):
        assert keys(record.get(member)) == keys(published.get(member)), member


def test_the_storm_is_as_large_as_is_asked_for_and_else_as_large_as_it_is_by_itself() -> None:
    assert storm_options(300, 2000) == ["--roles", "300", "--events", "2000"]
    assert storm_options(None, None) == []


def test_the_published_figures_hold_all_measurements_and_what_they_were_made_on() -> None:
    figures = committed()
    assert set(figures) == {"format", "machine", *MEASUREMENTS}
    assert figures["format"] == FORMAT
    assert set(figures["machine"]) == {"python", "system", "architecture", "processors", "load_before"}


def test_an_event_of_a_role_that_is_not_enrolled_costs_one_read_and_nothing_else() -> None:
    scenes = {scene["scene"]: scene for scene in measured("repair")["scenes"]}
    for name in ("not enrolled", "already deleted"):
        assert scenes[name]["calls"] == ["iam:GetRole"]
    assert scenes["enrolled and clean"]["writes"] == 0
    assert scenes["trust repaired"]["writes"] == 1
    for scene in scenes.values():
        assert set(scene["repeated"]) <= {"iam:GetRole", "iam:GetRolePolicy", "s3:GetBucketPolicy"}
    assert list(scenes.values()) == committed()["repair"]["scenes"]


def test_a_sweep_reads_a_page_for_each_thousand_roles_and_writes_nothing() -> None:
    small, large = measured("sweep")["sizes"]
    assert (small["iam_reads"], large["iam_reads"]) == (1, 2)
    assert (large["enrolled"], large["broken"], large["messages"], large["writes"]) == (101, 51, 51, 0)
    assert large["queue_calls"] == 6
    assert small["before_mb"] < small["peak_mb"] < large["peak_mb"]


def test_the_tables_of_the_page_are_those_of_the_published_figures() -> None:
    page = plots.DOCUMENT.read_text("utf-8")
    assert plots.with_tables(page, plots.tables(committed())) == page, "run python -m benchmarks.plots"


def test_the_seconds_that_the_costs_are_reckoned_with_are_at_least_what_was_measured() -> None:
    figures, page = committed(), (ROOT / "docs" / "cost.md").read_text("utf-8")
    started = {
        start["function"]: start["event_milliseconds"]["median"] / 1000
        for start in figures["cold_start"]["as_deployed"]
        if "event_milliseconds" in start
    }
    most = max(len(scene["calls"]) for scene in figures["repair"]["scenes"])
    least = {
        "router": needed(256, started["router"], 2),
        "reconciler": needed(256, started["reconciler"], most),
        "digester, notifier": needed(256, max(started["digester"], started["notifier"]), 5),
    }
    for size in figures["sweep"]["sizes"]:
        calls = sum(number for name, number in size.items() if name.endswith(("_reads", "_calls")))
        least[f"sweeper, {size['roles']:,} roles"] = needed(512, started["sweeper"] + size["seconds"]["median"], calls)
    taken = {
        name: (float(together), int(seconds))
        for name, together, seconds in re.findall(r"^\| ([^|]+) \|.*\| ([\d.]+) s \| (\d+) s\b", page, re.MULTILINE)
    }
    assert taken.keys() == least.keys()
    for name, seconds in least.items():
        together, reckoned = taken[name]
        assert seconds <= together <= reckoned, name
    sweeps = ", ".join(f"{seconds} s" for name, (_, seconds) in taken.items() if name.startswith("sweeper"))
    for told in (
        f"| router: {taken['router'][1]} s ",
        f"| reconciler: {taken['reconciler'][1]} s ",
        f"| digester and notifier: {taken['digester, notifier'][1]} s ",
        f" {sweeps} |",
    ):
        assert told in page


def needed(megabytes: int, of_a_core: float, calls: int) -> float:
    """The seconds that a function takes for so many seconds of a core, and for calls of AWS at a tenth of a second."""
    return of_a_core * 1769 / megabytes + calls / 10


def test_the_plots_are_those_of_the_published_figures_and_each_is_shown() -> None:
    page = plots.DOCUMENT.read_text("utf-8")
    drawn = plots.plots(committed())
    assert {file.name for file in plots.EVIDENCE.glob("*.svg")} == set(drawn)
    for name, text in drawn.items():
        assert (plots.EVIDENCE / name).read_text("utf-8") == text, f"{name}: run python -m benchmarks.plots"
        assert f"(evidence/{name})" in page


def test_a_table_without_a_place_in_the_page_is_an_error_that_says_what_to_write() -> None:
    with pytest.raises(ValueError, match="no place for the table 'calls': add <!-- calls"):
        plots.with_tables("# Evidence\n", {"calls": "| |"})


def test_the_plots_are_well_formed_and_escape_what_they_are_given() -> None:
    drawn = bars("a < b & c", "ms", [Bar("<x>", 3, 2, 4), Bar("y", 1, baseline=True)], aim=("aim", 2))
    assert [each.text for each in ET.fromstring(drawn).iter() if each.text and "<" in each.text] == [  # noqa: S314 - our own text
        "a < b & c",
        "a < b & c",
        "<x>",
    ]
    assert ET.fromstring(line("t", "x", "y", [(0, 0), (0.3, 7)], marked=True)) is not None  # noqa: S314 - our own text


def test_a_figure_keeps_to_its_aim_up_to_the_aim_itself() -> None:
    assert [Headline("f", value, "", 1.3).verdict for value in (1.2, 1.3, 1.31)] == ["kept", "kept", "missed"]
    assert Headline("f", 5, "").verdict is None


def test_an_aim_between_the_quartiles_is_neither_kept_nor_missed() -> None:
    quartiles = [Spread(1.02, 0.85, 1.31), Spread(1.4, 1.2, 1.5), Spread(1.02, 0.85, 1.3), Spread(1.4, 1.31, 1.5)]
    verdicts = [Headline("f", each.median, "", 1.3, each).verdict for each in quartiles]
    assert verdicts == ["undecided", "undecided", "kept", "missed"]


def test_half_of_the_values_lie_within_the_spread() -> None:
    assert spread([5]).record() == {"median": 5, "low": 5, "high": 5}
    assert spread([1, 2, 3, 4, 100]).record() == {"median": 3, "low": 2, "high": 4}
    assert ratio([2, 6, 30], [1, 2, 10]).median == 3


def test_numbers_are_told_with_three_digits_and_whole_ones_as_they_are() -> None:
    assert [number_text(value, "ms") for value in (0.1724, 97.66, 5, 1234.5)] == [
        "0.172 ms",
        "97.7 ms",
        "5 ms",
        "1,234 ms",
    ]
    assert number_text(3, "") == "3"


def test_the_percentile_is_the_least_value_that_the_share_does_not_exceed() -> None:
    hundred = list(range(1, 101))
    assert (percentile(hundred, 0.5), percentile(hundred, 0.99), percentile([7], 0.99)) == (50, 99, 7)


def change(
    role: str, kind: DocumentKind, start: float, end: float | None, *named: str, found: tuple[str, ...] = ()
) -> Change:
    """A change of a role's document, which began and ended so many seconds after the start."""

    def naming(names: tuple[str, ...]) -> Any:
        arns = [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in names]
        return (
            policy({"Sid": BUCKET_POLICY_SID, "Principal": {"AWS": arns[0] if len(arns) == 1 else arns}})
            if arns
            else None
        )

    return Change(
        change_id=f"{role}/{start:g}",
        role_name=role,
        role_id="AROAEXAMPLE",
        role_arn=ROLE_ARN,
        account=ACCOUNT,
        cloud="production",
        document=DocumentId(kind, "bucket" if kind is DocumentKind.BUCKET_POLICY else ""),
        kind=ChangeKind.REPAIR,
        state=ChangeState.COMPLETED,
        findings=(),
        causes=(),
        before=naming(found),
        after=naming(named),
        code_version="1",
        intended_at=START + timedelta(seconds=start),
        concluded_at=None if end is None else START + timedelta(seconds=end),
    )


TRUST, SHARED = DocumentKind.TRUST_POLICY, DocumentKind.BUCKET_POLICY


def test_changes_of_one_document_one_after_the_other_are_in_order() -> None:
    assert out_of_order([change("a", TRUST, 0, 1), change("b", TRUST, 0.5, 1.5), change("a", TRUST, 1, 2)]) == []
    first, second = change("a", SHARED, 0, 1, "a"), change("b", SHARED, 1, 2, "b", "a", found=("a",))
    assert out_of_order([first, second, change("c", SHARED, 2, 3, "c", "b", "a", found=("a", "b"))]) == []


def test_a_change_that_begins_before_the_former_one_has_ended_is_out_of_order() -> None:
    assert out_of_order([change("a", TRUST, 0, 2), change("a", TRUST, 1, 3)]) == ["a/1"]
    assert out_of_order([change("a", TRUST, 0, None), change("a", TRUST, 1, 3)]) == ["a/1"]


def test_a_change_of_the_shared_policy_that_has_not_found_what_the_former_one_left_is_out_of_order() -> None:
    assert out_of_order([change("a", SHARED, 0, 1, "a"), change("b", SHARED, 1, 2, "b")]) == ["b/1"]


def broken(role: str, *seconds: float) -> list[Broken]:
    """The role's trust policy was replaced so many seconds after the start."""
    return [Broken(role, START + timedelta(seconds=each)) for each in seconds]


def test_a_repair_is_timed_from_the_first_replacement_since_the_repair_before() -> None:
    changes = [change("a", TRUST, 2, 3), change("a", TRUST, 6, 8)]
    assert seconds_to_repair(broken("a", 1, 2.5, 5, 7), changes) == [2, 3]
    assert seconds_to_repair(broken("a", 1, 2.5), changes) == [2, 5.5], "replaced while the former one was under way"
    assert seconds_to_repair(broken("a", 1), changes) == [2], (
        "whatever the other one was for, the storm did not break it"
    )
    assert seconds_to_repair(broken("b", 1), changes) == []
    unseen = [replace(changes[0], state=ChangeState.UNCONFIRMED), changes[1]]
    assert seconds_to_repair(broken("a", 1), unseen) == [7]
