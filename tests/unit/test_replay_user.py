"""The life of a replay user: it ends, is stopped or killed, its locustfile fails, and each record is booked once."""

import gevent
import pytest
from gevent.event import Event
from locust.env import Environment
from locust.exception import CatchResponseError
from locust.stats import RequestStats

from support.replay import OK, Books, Users, server, until
from traffic.core.outcome import AtLeastOnce, AtMostOnce, Outcome
from traffic.replay.stats import Tally, only_locust_listens

RECORD = b'{"name": "n", "msg": "m"}'


def answering(*answers):
    """Answer record by record."""
    return lambda connection, request: connection.sendall(answers[request.index % len(answers)])


def status(code, *fields):
    return "\r\n".join([f"HTTP/1.1 {code} X", *fields, "Content-Length: 2", "", "{}"]).encode()


def test_many_users_send_each_record_once_and_end():
    books = Books([RECORD] * 500)
    with server(answering(OK)) as api:
        Users(books, api.url, count=20).run()
    assert sorted(request.index for request in api.requests) == list(range(500))
    assert {outcome for _, _, outcome in books.booked} == {Outcome.DELIVERED}
    assert api.connections == 20


@pytest.mark.parametrize("policy", ["at-least-once", "at-most-once"])
def test_answers_are_judged_by_the_rule_of_the_policy(policy):
    codes = [200, 201, 204, 302, 304, 307, 400, 404, 408, 409, 422, 425, 429, 500, 502, 503, 504]
    books = Books([RECORD] * len(codes), policy)
    answers = [status(code, "Location: /elsewhere") for code in codes]
    answers = [one[:-2] if code in (204, 304) else one for code, one in zip(codes, answers, strict=True)]
    with server(answering(*answers)) as api:
        Users(books, api.url).run()
    rule = AtMostOnce() if policy == "at-most-once" else AtLeastOnce()
    assert [answer.status for answer in books.answers] == codes
    assert [outcome for _, _, outcome in sorted(books.booked)] == [rule.judge(answer) for answer in books.answers]
    assert [request.head.split()[1] for request in api.requests] == [b"/in"] * len(codes), "no redirect is followed"


def test_retry_after_is_handed_on():
    books = Books([RECORD] * 3)
    date = "Retry-After: Fri, 31 Dec 2100 23:59:59 GMT"
    with server(answering(status(503, "Retry-After: 2"), status(503, date), status(503))) as api:
        Users(books, api.url).run()
    waits = [answer.retry_after for answer in books.answers]
    assert waits[0] == 2.0
    assert waits[1] is not None
    assert waits[1] > 1e9
    assert waits[2] is None


class Held:
    """A server that answers when it is told to."""

    def __init__(self):
        self.go = Event()

    def __call__(self, connection, request):
        self.go.wait()
        connection.sendall(OK)


def test_a_user_that_is_stopped_finishes_the_request_that_is_under_way():
    books, held = Books([RECORD] * 5), Held()
    with server(held) as api:
        users = Users(books, api.url)
        users.start()
        until(lambda: api.requests, "a request is under way")
        assert users.users[0].stop(force=False) is False
        assert not users.group.join(0.05), "it waits for the answer"
        held.go.set()
        users.join()
    assert [(index, outcome) for index, _, outcome in books.booked] == [(0, Outcome.DELIVERED)]
    assert len(api.requests) == 1


def test_a_user_that_is_killed_says_that_nobody_knows_what_came_of_its_record():
    books, held = Books([RECORD] * 5, "at-most-once"), Held()
    with server(held) as api:
        users = Users(books, api.url)
        users.start()
        until(lambda: api.requests, "a request is under way")
        users.users[0].stop(force=True)
        users.join()
        held.go.set()
    (booked,) = books.booked
    assert (booked[1].reason, booked[1].unknown) == ("the user was stopped while the answer was awaited", True)
    assert booked[2] is Outcome.IN_DOUBT


@pytest.mark.parametrize(
    ("held_back", "settings"), [(0, {"wait_time": lambda _: 1000.0}), (1, {})], ids=["waiting", "without a record"]
)
def test_a_user_with_nothing_under_way_is_stopped_at_once(held_back, settings):
    books = Books([RECORD] * 2, held_back=held_back)
    with server(answering(OK)) as api:
        users = Users(books, api.url, **settings)
        users.start()
        until(lambda: books.booked, "a record is delivered")
        users.users[0].stop(force=False)
        users.join()
    assert len(books.booked) == 1


def test_a_user_without_a_record_goes_on_when_there_is_one():
    books = Books([RECORD] * 9, held_back=8)
    with server(answering(OK)) as api:
        users = Users(books, api.url, count=3)
        users.start()
        until(lambda: books.booked, "a record is delivered")
        books.held_back = 0
        users.join()
    assert len(books.booked) == len(api.requests) == 9


def test_the_wait_between_records_is_that_of_the_run_or_of_the_class():
    waits = []
    with server(answering(OK)) as api:
        Users(Books([RECORD] * 4), api.url, wait_time=lambda _: waits.append(1) or 0.001).run()
        Users(Books([RECORD] * 4, wait_s=(0.001, 0.002)), api.url).run()
    assert len(waits) == 4
    assert len(api.requests) == 8


class Faulty(AtLeastOnce):
    """A locustfile's rule that fails at the second answer."""

    judged = 0

    def judge(self, answer):
        self.judged += 1
        if self.judged == 2:
            raise LookupError("a fault of the locustfile's own")
        return super().judge(answer)


def test_a_rule_that_fails_is_told_and_its_record_is_booked_all_the_same():
    books = Books([RECORD] * 4)
    with server(answering(OK)) as api:
        users = Users(books, api.url, rule=Faulty()).run()
    assert [str(error) for error in users.errors] == ["a fault of the locustfile's own"]
    assert sorted(index for index, _, _ in books.booked) == [0, 1, 2, 3]
    assert len(api.requests) == 4


def test_headers_that_cannot_be_sent_are_told():
    books = Books([RECORD])
    with server(answering(OK)) as api:
        users = Users(books, api.url, default_headers={"Content-Length": "7"}).run()
    assert "default_headers" in str(users.errors[0])
    assert not api.requests


# What Locust shows.


def test_the_statistics_hold_every_request_and_every_failure():
    books = Books([RECORD] * 30)
    with server(answering(OK, status(503), OK)) as api:
        users = Users(books, api.url, count=3).run()
    stats = users.environment.stats
    for entry in (stats.total, stats.get("/in", "POST")):
        assert (entry.num_requests, entry.num_failures) == (30, 10)
        assert sum(entry.response_times.values()) == sum(entry.num_reqs_per_sec.values()) == 30
        assert entry.total_content_length == 60
    (error,) = stats.errors.values()
    assert (error.to_name(), error.occurrences) == ("POST /in: HTTP 503", 10)


def test_who_listens_to_requests_hears_each_one():
    books, heard = Books([RECORD] * 6), []
    with server(answering(OK, status(404))) as api:
        users = Users(books, api.url)

        def listen(**request):
            gevent.sleep(0)  # a listener may wait
            heard.append(request)

        users.environment.events.request.add_listener(listen)
        users.run()
        until(lambda: len(heard) == 6, "all are heard")
    assert [str(request["exception"]) for request in heard] == ["None", "HTTP 404"] * 3
    first = heard[0]
    assert (first["request_type"], first["name"], first["response_length"]) == ("POST", "/in", 2)
    assert first["url"] == f"{api.url}/in"
    assert first["response"].status == 201
    assert all(request["response_time"] > 0 for request in heard)
    assert not users.environment.stats.entries, "Locust's own listener would count them"


TIMES_MS = [0.0, 0.4, 0.5, 1.5, 2.5, 99.4, 99.5, 99.9, 100.0, 104.9, 105.0, 994.0, 995.1, 1449.0, 1450.0, 60000.0]


@pytest.mark.parametrize("own", [False, True], ids=["Locust's buckets", "another's buckets"])
def test_a_fold_is_what_locust_would_have_counted_one_by_one(own, monkeypatch):
    if own:
        monkeypatch.setattr("locust.stats.bucket_response_time", lambda ms: int(ms) // 7 * 7)
    bulk, single, tally = RequestStats(), RequestStats(), Tally("/", "POST")
    for at, ms in enumerate(TIMES_MS * 3):
        tally.log(ms / 1000)
        single.log_request("POST", "/", ms / 1000 * 1000, 5)
        tally.content += 5
        if at % 4 == 0:
            tally.failures["HTTP 503"] += 1
            single.log_error("POST", "/", CatchResponseError("HTTP 503"))
    for _ in range(2):
        tally.fold(bulk)  # the second finds nothing
    for mine, its in ((bulk.total, single.total), (bulk.get("/", "POST"), single.get("/", "POST"))):
        for name in ("num_requests", "num_failures", "total_content_length", "max_response_time", "min_response_time"):
            assert getattr(mine, name) == getattr(its, name), name
        assert mine.response_times == its.response_times
        assert mine.total_response_time == pytest.approx(its.total_response_time)
        assert [mine.get_response_time_percentile(at) for at in (0.5, 0.9, 0.99)] == [
            its.get_response_time_percentile(at) for at in (0.5, 0.9, 0.99)
        ]
    assert bulk.serialize_errors().keys() == single.serialize_errors().keys()
    assert [one.occurrences for one in bulk.errors.values()] == [one.occurrences for one in single.errors.values()]


def test_only_locusts_own_listener_counts_as_nobody():
    environment = Environment()
    environment.create_local_runner()
    assert only_locust_listens(environment)
    environment.events.request.add_listener(print)
    assert not only_locust_listens(environment)
    environment.runner.quit()
