"""Rates, durations and profiles, as people write them."""

import pytest

from traffic.core.pace.profile import Piece
from traffic.settings import rate_text
from traffic.settings.readers import BadValueError


@pytest.mark.parametrize(
    ("text", "rate"),
    [("500/s", 500), ("500", 500), ("30/m", 0.5), ("1800/h", 0.5), ("86400/d", 1), (" 0.5/s ", 0.5), ("1000000", 1e6)],
)
def test_one_rate_holds_for_ever(text, rate):
    profile = rate_text.profile(text)
    assert profile.rates([0, 1e6]).tolist() == [rate, rate]
    assert profile.records == float("inf")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("250ms", 0.25), ("2d", 172_800)],
)
def test_a_duration_is_read(text, seconds):
    assert rate_text.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "1w", "h", "10 m", "1h 30m", "367d", "1e3", "ten", "1m30"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(BadValueError, match="must be a duration such as 90s, 10m or 1h30m, more than 0 and 366 days"):
        rate_text.duration(text)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("line(0,500,1m) const(500,10m)", [(0, 500, 60), (500, 500, 600)]),
        ("line( 0/m , 30/m , 90 ),const(30/m,1h)", [(0, 0.5, 90), (0.5, 0.5, 3600)]),
        ("step(5,25,10,1h)", [(5, 5, 3600), (15, 15, 3600), (25, 25, 3600)]),
        ("step(25,5,10,1h)", [(25, 25, 3600), (15, 15, 3600), (5, 5, 3600)]),
        ("step(0.1,0.3,0.1,1)", [(0.1, 0.1, 1), (0.2, 0.2, 1), (0.3, 0.3, 1)]),
        ("step(5,5,1,1m)", [(5, 5, 60)]),
        ("const(10,1m)const(0,30s)\n const(10,1m)", [(10, 10, 60), (0, 0, 30), (10, 10, 60)]),
    ],
)
def test_a_profile_is_read_piece_by_piece(text, pieces):
    made = rate_text.profile(text).pieces
    assert [(one.seconds, type(one)) for one in made] == [(seconds, Piece) for _, _, seconds in pieces]
    assert [rate for one in made for rate in (one.begin, one.end)] == pytest.approx(
        [rate for begin, end, _ in pieces for rate in (begin, end)]
    )


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "must be a rate such as 500/s, 30/m or 1000/h, above 0 and 1000000/s at most, or a profile of line(FROM,"),
        ("0", "must be a rate"),
        ("0/s", "must be a rate"),
        ("-5", "must be a rate"),
        ("1000001", "must be a rate"),
        ("5/w", "must be a rate"),
        ("5 / s", "must be a rate"),
        ("fast", "must be a rate"),
        ("1e3", "must be a rate"),
        (
            "ramp(1,2,3)",
            "must be a profile of line(FROM,TO,DURATION), const(RATE,DURATION) and step(FROM,TO,BY,DURATION",
        ),
        ("const(5,1m) 7", "), and has '7'"),
        ("const(5,1m", "must be a profile of"),
        ("()", "must be a profile of"),
        ("const(5,(1m))", "must be a profile of"),
        ("line(0,500)", "must have 3 values in line, and has line(0,500)"),
        ("const(5,1m,)", "must have 2 values in const"),
        ("line(0,x,1m)", "must have rates such as 500/s, 30/m or 1000/h in line, and has line(0,x,1m)"),
        ("line(0,500,fast)", "must have a duration such as 90s, 10m or 1h30m as the last value of line"),
        ("step(5,24,5,1h)", "must come from FROM to TO in equal steps, 9999 at most, and has step(5,24,5,1h)"),
        ("step(5,25,0,1h)", "must come from FROM to TO in equal steps"),
        ("step(1,10000,1,1s) step(1,10000,1,1s)", "must have 10000 pieces at most"),
    ],
)
def test_what_is_no_profile_is_refused_with_the_rule_and_the_part(text, rule):
    with pytest.raises(BadValueError) as refused:
        rate_text.profile(text)
    assert rule in str(refused.value)
