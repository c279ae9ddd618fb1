"""The life of a replay user: it ends, is stopped or killed, its locustfile fails, and each outcome is reported once."""

import time
from functools import partial
from ssl import CERT_REQUIRED

import gevent
import pytest
from gevent.event import Event
from locust import task
from locust.env import Environment
from locust.exception import CatchResponseError
from locust.stats import RequestStats

from support.replay import OK, Books, Users, server, until
from traffic.core.outcome import AtLeastOnce, AtMostOnce, Outcome
from traffic.http.resolver import Target
from traffic.users.dispatcher import MOST_IN_A_BATCH, Dispatcher
from traffic.users.record_user import RecordUser
from traffic.users.replay_user import ReplayUser
from traffic.users.stats import StatsBuffer, only_locust_listens

RECORD = b'{"name": "n", "msg": "m"}'


CLOSE = "Connection: close"


def post(user):
    user.deliver_next()


@pytest.fixture(params=[(), (post,)], ids=["without tasks", "with a task"])
def crew(request):
    """Users that only replay, and users that have tasks."""
    return partial(Users, tasks=request.param)


def answering(*answers):
    """Answer record by record."""
    return lambda connection, request: connection.sendall(answers[request.index % len(answers)])


def status(code, *fields):
    return "\r\n".join([f"HTTP/1.1 {code} X", *fields, "Content-Length: 2", "", "{}"]).encode()


def test_many_users_send_each_record_once_and_end(crew):
    books = Books([RECORD] * 500)
    with server(answering(OK)) as api:
        crew(books, api.url, count=20).run()
    assert sorted(request.index for request in api.requests) == list(range(500))
    assert {outcome for _, _, outcome in books.booked} == {Outcome.DELIVERED}
    assert api.connections == 20


@pytest.mark.parametrize("policy", ["at-least-once", "at-most-once"])
def test_answers_are_judged_by_the_rule_of_the_policy(policy, crew):
    codes = [200, 201, 204, 302, 304, 307, 400, 404, 408, 409, 422, 425, 429, 500, 502, 503, 504]
    books = Books([RECORD] * len(codes), policy)
    answers = [status(code, "Location: /elsewhere") for code in codes]
    answers = [one[:-2] if code in (204, 304) else one for code, one in zip(codes, answers, strict=True)]
    with server(answering(*answers)) as api:
        crew(books, api.url).run()
    rule = AtMostOnce() if policy == "at-most-once" else AtLeastOnce()
    assert [answer.status for answer in books.answers] == codes
    assert [outcome for _, _, outcome in sorted(books.booked)] == [rule.judge(answer) for answer in books.answers]
    assert [request.head.split()[1] for request in api.requests] == [b"/in"] * len(codes), "no redirect is followed"


def test_retry_after_is_handed_on(crew):
    books = Books([RECORD] * 3)
    date = "Retry-After: Fri, 31 Dec 2100 23:59:59 GMT"
    with server(answering(status(503, "Retry-After: 2"), status(503, date), status(503))) as api:
        crew(books, api.url).run()
    waits = [answer.retry_after for answer in books.answers]
    assert waits[0] == 2.0
    assert waits[1] is not None
    assert waits[1] > 1e9
    assert waits[2] is None


class Held:
    """A server that answers when the test lets it."""

    def __init__(self):
        self.go = Event()

    def __call__(self, connection, request):
        self.go.wait()
        connection.sendall(OK)


def test_a_user_that_is_stopped_finishes_the_request_that_is_under_way(crew):
    books, held = Books([RECORD] * 5), Held()
    with server(held) as api:
        users = crew(books, api.url)
        users.start()
        until(lambda: api.requests, "a request is under way")
        assert users.users[0].stop(force=False) is False
        assert not users.group.join(0.05), "it waits for the answer"
        held.go.set()
        users.join()
    assert [(index, outcome) for index, _, outcome in books.booked] == [(0, Outcome.DELIVERED)]
    assert len(api.requests) == 1


def test_a_user_that_is_killed_says_that_nobody_knows_what_came_of_its_record(crew):
    books, held = Books([RECORD] * 5, "at-most-once"), Held()
    with server(held) as api:
        users = crew(books, api.url)
        users.start()
        until(lambda: api.requests, "a request is under way")
        users.users[0].stop(force=True)
        users.join()
        held.go.set()
    (booked,) = books.booked
    assert (booked[1].reason, booked[1].unknown) == ("the user was stopped while the answer was awaited", True)
    assert booked[2] is Outcome.IN_DOUBT


def test_more_answers_at_once_than_a_batch_takes_are_each_reported_once():
    count = 3 * MOST_IN_A_BATCH + 1
    books, held = Books([RECORD] * 5 * count), Held()
    with server(held) as api:
        users = Users(books, api.url, count=count)
        users.start()
        until(lambda: len(api.requests) == count, "every user waits for an answer")
        held.go.set()
        users.join()
    assert sorted(request.index for request in api.requests) == list(range(5 * count))
    assert len(books.booked) == users.environment.stats.total.num_requests == 5 * count
    assert api.connections == count


def test_users_that_begin_together_all_wait_as_long_as_the_run_says(monkeypatch):
    literal = Target.literal
    monkeypatch.setattr(Target, "literal", lambda target: gevent.sleep(0) or literal(target))
    books = Books([RECORD] * 6, timeout_s=0.2)
    with server(Held()) as api:
        users = Users(books, api.url, count=6)
        users.start()
        users.join()
    assert {answer.reason for answer in books.answers} == {
        "TimeoutError: timed out after 0.2 s; a later answer is not waited for"
    }
    assert len(books.answers) == 6


def test_an_answer_that_was_read_counts_though_its_user_is_killed_before_its_batch(monkeypatch):
    responded = []
    monkeypatch.setattr(Dispatcher, "on_response", lambda self, sender: responded.append(sender))
    books = Books([RECORD] * 5, "at-most-once")
    with server(answering(OK)) as api:
        users = Users(books, api.url)
        users.start()
        until(lambda: responded, "an answer is read")
        assert books.booked == []
        users.users[0].stop(force=True)
        users.join()
    assert [(index, answer.status, outcome) for index, answer, outcome in books.booked] == [(0, 201, Outcome.DELIVERED)]
    assert responded[0].record_response() is False, "its batch finds nothing to report"
    assert len(books.booked) == len(api.requests) == 1


def test_a_source_that_fails_in_a_turn_is_told_and_the_users_go_on(monkeypatch):
    faults = [LookupError("a fault of the source's")]
    take_some = Books.take_batch

    def fail_once(self, now, most):
        if faults:
            raise faults.pop()
        return take_some(self, now, most)

    monkeypatch.setattr(Books, "take_batch", fail_once)
    books = Books([RECORD] * 6)
    with server(answering(OK)) as api:
        users = Users(books, api.url).run()
    assert [str(error) for error in users.errors] == ["a fault of the source's"]
    assert [request.index for request in api.requests] == list(range(6))
    assert {outcome for _, _, outcome in books.booked} == {Outcome.DELIVERED}


@pytest.mark.parametrize(
    ("held_back", "settings"), [(0, {"wait_time": lambda _: 1000.0}), (1, {})], ids=["waiting", "without a record"]
)
def test_a_user_with_nothing_under_way_is_stopped_at_once(held_back, settings, crew):
    books = Books([RECORD] * 2, held_back=held_back)
    with server(answering(OK)) as api:
        users = crew(books, api.url, **settings)
        users.start()
        until(lambda: books.booked, "a record is delivered")
        users.users[0].stop(force=False)
        users.join()
    assert len(books.booked) == 1


def test_a_user_without_a_record_goes_on_when_there_is_one(crew):
    books = Books([RECORD] * 9, held_back=8)
    with server(answering(OK)) as api:
        users = crew(books, api.url, count=3)
        users.start()
        until(lambda: books.booked, "a record is delivered")
        books.held_back = 0
        users.join()
    assert len(books.booked) == len(api.requests) == 9


def test_the_wait_between_records_is_that_of_the_run_or_of_the_class(crew):
    waits = []
    with server(answering(OK)) as api:
        crew(Books([RECORD] * 4), api.url, wait_time=lambda _: waits.append(1) or 0.001).run()
        crew(Books([RECORD] * 4, wait_s=(0.001, 0.002)), api.url).run()
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


def test_a_rule_that_fails_is_told_and_its_record_is_in_doubt_with_the_answer_that_it_had(crew):
    books = Books([RECORD] * 4)
    with server(answering(OK)) as api:
        users = crew(books, api.url, rule=Faulty()).run()
    assert [str(error) for error in users.errors] == ["a fault of the locustfile's own"]
    assert len(api.requests) == 4, "none is sent again for it, and the user goes on"
    assert [outcome for _, _, outcome in sorted(books.booked, key=lambda one: one[0])] == [
        Outcome.DELIVERED,
        Outcome.IN_DOUBT,
        Outcome.DELIVERED,
        Outcome.DELIVERED,
    ]
    answer = books.answers[1]
    assert (answer.status, answer.sent) == (201, True)
    assert answer.reason == (
        "HTTP 201; the rule that should judge it raised LookupError: a fault of the locustfile's own"
    )
    stats = users.environment.stats
    assert (stats.total.num_requests, stats.total.num_failures) == (4, 1)
    assert [error.error.args[0] for error in stats.errors.values()] == [answer.reason]


def test_a_rule_that_fails_at_a_lost_answer_is_told_too(crew):
    books = Books([RECORD] * 3)

    def lose(connection, request):
        if request.index != 1:
            connection.sendall(OK)
        return request.index != 1

    with server(lose) as api:
        users = crew(books, api.url, rule=Faulty()).run()
    assert [str(error) for error in users.errors] == ["a fault of the locustfile's own"]
    assert [outcome for _, _, outcome in sorted(books.booked, key=lambda one: one[0])][1] is Outcome.IN_DOUBT
    assert len(api.requests) == 3


def test_headers_that_cannot_be_sent_are_told(crew):
    books = Books([RECORD])
    with server(answering(OK)) as api:
        users = crew(books, api.url, default_headers={"Content-Length": "7"}).run()
    assert "default_headers" in str(users.errors[0])
    assert not api.requests
    assert [(answer.sent, outcome) for _, answer, outcome in books.booked] == [(False, Outcome.RETRY)]
    assert "default_headers" in books.answers[0].reason


# Tasks.


class Reads:
    """A listening API that answers a GET, too, and notes what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, connection, request):
        self.asked.append(request.head.split()[:2])
        connection.sendall(OK)


def test_tasks_post_and_read_in_their_turn_over_a_connection_each():
    def read(user):
        user.client.get("/newest")

    books, reads = Books([RECORD] * 20), Reads()
    with server(reads) as api:
        users = Users(books, api.url, tasks=[post, read]).run()
    stats = users.environment.stats
    asked = {tuple(one) for one in reads.asked}
    assert asked == {(b"POST", b"/in"), (b"GET", b"/newest")}
    assert stats.get("/in", "POST").num_requests == 20
    assert stats.total.num_failures == 0
    assert api.connections == 2


def test_deliver_gives_the_answer_and_a_record_can_be_looked_at_first():
    answers, bodies = [], []

    def look(user):
        record = user.next_record()
        bodies.append(record.body)
        answers.append(user.deliver(record))

    with server(answering(OK, status(422))) as api:
        Users(Books([RECORD] * 2), api.url, tasks=[look]).run()
    assert bodies == [RECORD] * 2
    assert [(answer.status, answer.reason) for answer in answers] == [(201, "HTTP 201"), (422, "HTTP 422")]


def test_a_record_that_a_task_took_and_did_not_deliver_is_not_lost():
    books = Books([RECORD] * 3)
    with server(answering(OK)) as api:
        Users(books, api.url, tasks=[lambda user: user.next_record()]).run()
    assert [answer.reason for answer in books.answers] == ["the task took the record and did not deliver it"] * 3
    assert not api.requests


def test_a_user_that_ends_closes_its_connection():
    ended = Event()

    def serve(connection, request):
        connection.sendall(OK)
        if connection.recv(1) == b"":
            ended.set()
        return False

    with server(serve) as api:
        Users(Books([RECORD]), api.url, tasks=[post]).run()
        assert ended.wait(10)


def test_only_a_class_without_tasks_replays_by_itself():
    class Plain(ReplayUser):
        pass

    class Reader(Plain):
        @task(3)
        def read(self):
            pass

    def names(user: type[Plain]) -> list[str]:
        return [getattr(own, "__name__", "") for own in user.tasks]

    assert names(Plain) == ["replay"]
    assert names(Reader) == ["read"] * 3


def test_the_client_beside_the_records_has_the_user_s_settings():
    made = type("Made", (ReplayUser,), {"host": "http://me:secret@127.0.0.1:1", "network_timeout": 7.0})
    session = made(Environment()).client
    assert session.base_url == "http://127.0.0.1:1"
    assert session.auth_header is not None
    settings = session.client.clientpool.client_args
    assert settings["network_timeout"] == 7.0
    assert settings["ssl_context_factory"]().verify_mode is CERT_REQUIRED


def test_the_client_beside_the_records_says_that_it_knows_no_unix_sockets():
    made = type("Made", (ReplayUser,), {"host": "http+unix://%2Frun%2Fapi.sock"})
    with pytest.raises(ValueError, match="over a Unix socket go records alone"):
        _ = made(Environment()).client


# What Locust shows.


def test_the_statistics_hold_every_request_and_every_failure(crew):
    books = Books([RECORD] * 30)
    with server(answering(OK, status(503), OK)) as api:
        users = crew(books, api.url, count=3).run()
    stats = users.environment.stats
    for entry in (stats.total, stats.get("/in", "POST")):
        assert (entry.num_requests, entry.num_failures) == (30, 10)
        assert sum(entry.response_times.values()) == sum(entry.num_reqs_per_sec.values()) == 30
        assert entry.total_content_length == 60
    (error,) = stats.errors.values()
    assert (error.to_name(), error.occurrences) == ("POST /in: HTTP 503", 10)


def test_who_listens_to_requests_hears_each_one(crew):
    books, heard = Books([RECORD] * 6), []
    with server(answering(OK, status(404))) as api:
        users = crew(books, api.url)

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


@pytest.mark.parametrize("kind", [ReplayUser, RecordUser])
def test_who_listens_hears_how_long_it_took_since_the_record_was_due(kind):
    books, heard, began = Books([RECORD] * 6, late_s=1000.0), [], time.time()
    with server(answering(status(201, CLOSE), status(503, CLOSE))) as api:
        users = Users(books, api.url, kind=kind, tasks=(post,))
        users.environment.events.request.add_listener(lambda **request: heard.append(request))
        users.run()
        until(lambda: len(heard) == 6, "all are heard")
    took = time.time() - began
    assert all(1000 <= request["response_time"] / 1000 < 1000 + took for request in heard)
    assert all(began - 1000.1 <= request["start_time"] <= began + took - 1000 for request in heard)


def test_the_statistics_count_from_when_a_record_was_due(crew):
    books, began = Books([RECORD] * 6, late_s=1000.0), time.time()
    with server(answering(OK, status(503))) as api:
        total = crew(books, api.url).run().environment.stats.total
    assert 1000 <= total.min_response_time / 1000 <= total.max_response_time / 1000 < 1000 + time.time() - began


TIMES_MS = [0.0, 0.4, 0.5, 1.5, 2.5, 99.4, 99.5, 99.9, 100.0, 104.9, 105.0, 994.0, 995.1, 1449.0, 1450.0, 60000.0]


@pytest.mark.parametrize("own", [False, True], ids=["Locust's buckets", "another's buckets"])
def test_a_fold_is_what_locust_would_have_counted_one_by_one(own, monkeypatch):
    if own:
        monkeypatch.setattr("locust.stats.bucket_response_time", lambda ms: int(ms) // 7 * 7)
    bulk, single, buffer = RequestStats(), RequestStats(), StatsBuffer("/", "POST")
    for at, ms in enumerate(TIMES_MS * 3):
        buffer.log(ms / 1000)
        single.log_request("POST", "/", ms / 1000 * 1000, 5)  # type: ignore[arg-type] # as Locust itself does
        buffer.content += 5
        if at % 4 == 0:
            buffer.failures["HTTP 503"] += 1
            single.log_error("POST", "/", CatchResponseError("HTTP 503"))
    for _ in range(2):
        buffer.fold(bulk)  # the second finds nothing
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
    runner = environment.create_local_runner()
    assert only_locust_listens(environment)
    environment.events.request.add_listener(print)
    assert not only_locust_listens(environment)
    runner.quit()


# Rules that look at the body, or at whether the record was sent before.


class Polite:
    """Rejects what says no, and asks for the body."""

    needs_body = True

    def judge(self, answer):
        return Outcome.REJECTED if b"no" in answer.body else Outcome.DELIVERED


@pytest.mark.parametrize("kind", ["written", "python"])
@pytest.mark.parametrize(
    ("user", "tasks"),
    [(ReplayUser, ()), (ReplayUser, (post,)), (RecordUser, (post,))],
    ids=["without tasks", "with a task", "RecordUser"],
)
def test_an_answer_is_judged_by_its_body_in_whatever_pieces_it_comes(user, tasks, kind):
    said = [b'{"errors": ["no"]}', b"{}", b'{"errors": []}'] * 4

    def answer(connection, request):
        body = said[request.index]
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        if request.index < 6:
            connection.sendall(head + body)
        else:
            connection.sendall(head + body[:1])
            gevent.sleep(0.01)
            connection.sendall(body[1:])
        return False

    books = Books([RECORD] * len(said), reject_if="/errors" if kind == "written" else "")
    with server(answer) as api:
        Users(books, api.url, kind=user, tasks=tasks, rule=None if kind == "written" else Polite()).run()
    outcomes = [outcome for _, _, outcome in sorted(books.booked, key=lambda one: one[0])]
    assert outcomes == [Outcome.REJECTED, Outcome.DELIVERED, Outcome.DELIVERED] * 4
    for at, found in enumerate(books.answers):
        assert (found.excerpt.body if found.excerpt else None) == (None if at % 3 else said[at])
        if at % 3 == 0 and kind == "written":
            assert found.reason == "HTTP 200, and /errors is there"


def test_409_is_judged_anew_for_each_record():
    books = Books([RECORD] * 4, repeats={1, 3})
    with server(answering(status(409))) as api:
        Users(books, api.url).run()
    outcomes = [outcome for _, _, outcome in sorted(books.booked, key=lambda one: one[0])]
    assert outcomes == [Outcome.REJECTED, Outcome.RETRY] * 2
