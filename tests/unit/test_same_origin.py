"""What is taken for another site's page: decided by what browsers send, and cannot be made to leave out."""

import pytest

from traffic.master.web.same_origin import foreign_source

HOST = {"Host": "127.0.0.1:8089"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://proxy.example"},
        {"Origin": "http://127.0.0.1:8089"},
        {"Referer": "http://127.0.0.1:8089/traffic?x=1"},
        {"Host": "LOAD.example", "Origin": "http://load.EXAMPLE"},
        {"Host": "load.example:443", "Origin": "https://load.example"},
        {"Host": "[::1]:8089", "Origin": "http://[::1]:8089"},
    ],
)
def test_programs_and_the_own_page_pass(headers: dict[str, str]) -> None:
    assert not foreign_source({**HOST, **headers})


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8089"},
        {"Origin": "http://127.0.0.1:4000"},
        {"Origin": "http://localhost:8089"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://evil.example", "Referer": "http://127.0.0.1:8089/"},
        {"Origin": "http://127.0.0.1:8089.evil.example"},
        {"Origin": "http://127.0.0.1:8089@evil.example"},
        {"Origin": "http://[::1"},
        {"Origin": "http://127.0.0.1:80890000"},
        {"Referer": "http://evil.example/http://127.0.0.1:8089/"},
        {"Host": "", "Origin": "http://"},
        {"Host": "load.example", "Origin": "https://load.example:8443"},
    ],
)
def test_another_sites_page_does_not(headers: dict[str, str]) -> None:
    assert foreign_source({**HOST, **headers})
