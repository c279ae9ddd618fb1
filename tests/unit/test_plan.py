"""`traffic plan FILE` says what a rate would mean, and sends nothing."""

import pytest

from traffic.__main__ import main
from unit.traffic_file import written


@pytest.fixture
def file(tmp_path):
    return written(tmp_path, "[" + ",".join(['{"a": 1}'] * 100) + "]")


def planned(capsys, file, *options):
    assert main(["plan", str(file), *options]) == 0
    return capsys.readouterr().out


def test_one_rate(file, capsys):
    assert planned(capsys, file, "--rate", "50/s") == (
        f"{file}: 100 records, the last is due after 1.98 s\n"
        "  from              for               records a second        records\n"
        "  0 s               1.98 s            50                          100\n"
        "  peak: 50 a second; the busiest second has 50 records\n"
        "  users: 10 if an answer takes 200 ms\n"
    )


def test_a_duration_stands_for_a_rate(file, capsys):
    out = planned(capsys, file, "--duration", "200s", "--latency", "3s")
    assert "the last is due after 3 min 18 s\n" in out
    assert "  peak: 0.5 a second; the busiest second has 1 record\n  users: 2 if an answer takes 3 s\n" in out


def test_a_profile_is_shown_as_far_as_the_records_reach(file, capsys):
    out = planned(capsys, file, "--rate", "line(0,10,10) const(0,1m) const(20,1s) line(20,0,1h) const(5,1h)")
    assert out.splitlines()[2:] == [
        "  0 s               10 s              0 to 10                      50",
        "  10 s              1 min             0                             0",
        "  1 min 10 s        1 s               20                           20",
        "  1 min 11 s        1.45 s            20 to 19.9919                30",
        "  peak: 20 a second; the busiest second has 20 records",
        "  users: 4 if an answer takes 200 ms",
    ]


def test_records_behind_the_last_piece_go_at_its_end_rate(file, capsys):
    out = planned(capsys, file, "--rate", "line(0,10,10s)")
    assert out.splitlines()[2:4] == [
        "  0 s               10 s              0 to 10                      50",
        "  10 s              4.9 s             10                           50",
    ]


def test_poisson_arrivals_need_more_users_and_have_busier_seconds(file, capsys):
    even, poisson, again = (
        planned(capsys, file, "--rate", "10", "--latency", "1s", "--arrivals", kind, "--seed", "7")
        for kind in ("even", "poisson", "poisson")
    )
    assert "users: 10 if" in even
    assert "users: 18 if" in poisson  # 10 and 2.326 times its root
    assert poisson == again
    assert "the busiest second has 10 records" in even
    assert "the busiest second has 10 records" not in poisson


def test_a_profile_that_ends_before_the_last_record_is_refused_with_the_remedy(file, capsys):
    assert main(["plan", str(file), "--rate", "line(10,0,10s)"]) == 1
    assert capsys.readouterr().err == (
        "The profile ends at 0/s after 50 of 100 records. Let its last piece end above 0/s, or last longer.\n"
    )


def test_a_bad_file_is_reported(tmp_path, capsys):
    assert main(["plan", str(written(tmp_path, "[{},\n1]")), "--rate", "5"]) == 1
    assert "line 2, column 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rate", "fast"], "argument --rate: must be a rate such as 500/s, 30/m or 1000/h"),
        (["--duration", "soon"], "argument --duration: must be a duration such as 90s, 10m or 1h30m"),
        ([], "one of the arguments --rate --duration --time is required"),
        (["--rate", "5", "--duration", "5m"], "not allowed with argument"),
    ],
)
def test_a_bad_option_is_refused_with_its_rule(file, capsys, options, said):
    with pytest.raises(SystemExit):
        main(["plan", str(file), *options])
    assert said in capsys.readouterr().err


def test_more_records_than_are_reckoned_at_once(file, capsys, monkeypatch):
    whole = planned(capsys, file, "--rate", "7.5")
    monkeypatch.setattr("traffic.plan._BATCH", 13)
    assert planned(capsys, file, "--rate", "7.5") == whole
