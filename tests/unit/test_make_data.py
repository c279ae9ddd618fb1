"""The data generator: distinct by construction, the same bytes from the same seed, whole files or none."""

import json
import os
import subprocess
import sys
import unicodedata
from importlib.util import module_from_spec, spec_from_file_location
from itertools import islice
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "make_data.py"
SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "ARABIC", "HEBREW", "DEVANAGARI", "BENGALI", "THAI")
EAST = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL")


def _load() -> ModuleType:
    spec = spec_from_file_location("make_data", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["make_data"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


make_data = _load()


@pytest.fixture(scope="module")
def pools():
    return make_data.Pools(make_data.DEFAULT_SEED)


def test_the_shipped_file_is_the_command_without_options(tmp_path):
    out = tmp_path / "traffic.json"
    assert make_data.main(["--out", str(out)]) == 0
    assert out.read_bytes() == (ROOT / "data" / "traffic.json").read_bytes()


def test_the_shipped_file_holds_100_distinct_records_of_name_and_msg():
    shipped = json.loads((ROOT / "data" / "traffic.json").read_bytes())
    assert shipped[0] == {"name": "Leonel Aguilar", "msg": "¡Hola Mundo!"}
    assert len(shipped) == len({(one["name"], one["msg"]) for one in shipped}) == 100
    assert all(set(one) == {"name", "msg"} and all(one.values()) for one in shipped)


def test_the_shipped_file_speaks_many_scripts_with_accents_and_emoji():
    text = (ROOT / "data" / "traffic.json").read_text(encoding="utf-8")
    names = {unicodedata.name(character, "").split()[0] for character in set(text) if character.isalpha()}
    assert names >= {*SCRIPTS, *EAST}
    assert set("áéíóúñ¡¿çãüßł") <= set(text)
    assert any(unicodedata.category(character) == "So" for character in text), "an emoji"
    assert "\\u" not in text, "written as it is, not escaped"


def test_same_number_and_seed_are_the_same_bytes_in_another_process(tmp_path):
    wanted = tmp_path / "here.json"
    make_data.write(wanted, 3000, seed=7)
    other = tmp_path / "there.json"
    command = [sys.executable, str(SCRIPT), "--records", "3000", "--seed", "7", "--out", str(other)]
    subprocess.run(command, check=True, timeout=60, env={**os.environ, "PYTHONHASHSEED": "4242"})
    assert other.read_bytes() == wanted.read_bytes()


def test_another_seed_makes_other_records():
    one, other = (set(make_data.records(500, seed)) for seed in (1, 2))
    assert len(one & other) == 1, "record 0 alone is the same in all files"


def test_a_longer_file_begins_with_the_records_of_a_shorter_one():
    assert list(make_data.records(50, seed=3)) == list(islice(make_data.records(5000, seed=3), 50))


def test_200_000_records_are_all_distinct_and_about_100_bytes():
    made = list(make_data.records(200_000, seed=11))
    assert len(set(made)) == len(made)
    assert 80 < sum(map(len, made)) / len(made) < 140


@pytest.mark.parametrize("seed", [make_data.DEFAULT_SEED, 2, 99])
def test_a_record_tells_its_combination(seed):
    made = make_data.Pools(seed)
    names = [name for locale in made.locales for name in locale.names]
    assert len(set(names)) == len(names), "so a name tells the locale"
    assert len(set(made.emoji)) == len(made.emoji)
    assert not any(b" " in emoji for emoji in made.emoji), "so the last space ends the sentence"
    for locale in made.locales:
        assert len(set(locale.sentences)) == len(locale.sentences)
        assert not any(
            one != other and one.startswith(other) for one in locale.greetings for other in locale.greetings
        ), "so the greeting is told from the sentence"


def test_numbers_far_apart_and_at_the_end_are_different_records(pools):
    numbers = [*range(3000), *range(pools.combinations - 3000, pools.combinations)]
    assert len({pools.record(number) for number in numbers}) == len(numbers)


def test_every_greeting_has_the_same_number_of_siblings():
    assert {len(greetings) for greetings in make_data.GREETINGS.values()} == {4}, "the numbering counts on it"


@pytest.mark.parametrize("size", [2, 22, 1001, 4096])
def test_a_walk_is_at_every_number_once(size):
    assert sorted(make_data._walk(size, size, seed=5)) == list(range(size))


MEASURE = """
import sys, tracemalloc
from collections import deque
import make_data
deque(make_data.records(1, seed=4), maxlen=0)  # what Faker loads once
for count in (1000, 40_000):
    tracemalloc.start()
    deque(make_data.records(count, seed=4), maxlen=0)
    print(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
"""


def test_memory_does_not_grow_with_the_number_of_records():
    # In a process of its own: whatever else this one does would be counted, too.
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], cwd=SCRIPT.parent, capture_output=True, text=True, check=True
    )
    few, many = map(int, done.stdout.split())
    assert many < few + 200_000, "39,000 records more are 4 MB of text"


@pytest.mark.parametrize("count", [0, -3])
def test_fewer_than_one_record_is_refused(tmp_path, capsys, count):
    out = tmp_path / "none.json"
    assert make_data.main(["--records", str(count), "--out", str(out)]) == 2
    assert f"at least 1 record, not {count}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_more_than_can_be_distinct_is_refused(tmp_path, capsys, pools):
    out = tmp_path / "much.json"
    assert make_data.main(["--records", str(pools.combinations + 2), "--out", str(out)]) == 2
    assert f"--records {pools.combinations + 1} or less" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path, capsys):
    assert make_data.main(["--out", str(tmp_path / "nowhere" / "traffic.json")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_broken_off_write_leaves_nothing(tmp_path, monkeypatch):
    def broken(self: object, number: int) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(make_data.Pools, "record", broken)
    with pytest.raises(KeyboardInterrupt):
        make_data.write(tmp_path / "traffic.json", 10, seed=1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_refused_and_left_as_it_is(tmp_path, capsys):
    out = tmp_path / "orders.csv"
    out.write_text("mine")
    assert make_data.main(["--records", "5", "--out", str(out)]) == 2
    assert f"{out} is there already" in (said := capsys.readouterr().err)
    assert "Name another (make data OUT=..., or --out ...), or move it away" in said
    assert out.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_that_appears_meanwhile_is_left_as_it_is(tmp_path, monkeypatch):
    out = tmp_path / "traffic.json"
    record = make_data.Pools.record

    def slow(pools: object, number: int) -> bytes:
        out.write_text("mine")
        return record(pools, number)

    monkeypatch.setattr(make_data.Pools, "record", slow)
    with pytest.raises(FileExistsError, match="is there already"):
        make_data.write(out, 10, seed=1)
    assert out.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [out]


def test_a_link_that_leads_nowhere_is_refused_too(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        make_data.write(tmp_path / "link", 10, seed=1)


def test_without_a_name_the_file_is_named_by_what_is_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert make_data.main(["--records", "5", "--seed", "7"]) == 0
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["made-5-7.json"]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "FILE", "OUT"))}
    return subprocess.run(
        ["make", "data", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_make_data_never_writes_to_the_file_that_a_run_reads(tmp_path):
    mine = tmp_path / "orders.csv"
    done = make("N=5", f"FILE={mine}")
    assert done.returncode == 2
    assert f"FILE={mine} is what a run reads. Say where the new file is to be: make data OUT={mine}" in done.stderr
    assert not mine.exists()


def test_make_data_hands_on_where_the_file_is_to_be(tmp_path):
    out = tmp_path / "my orders.json"
    commands = make("-n", "N=5", "SEED=7", f"OUT={out}").stdout
    assert commands.endswith(f"scripts/make_data.py --records 5 --seed 7 --out '{out}'\n")


def test_one_record_is_an_array_of_one(tmp_path):
    out = tmp_path / "one.json"
    assert make_data.write(out, 1, seed=1) == out.stat().st_size
    assert json.loads(out.read_bytes()) == [make_data.FIRST]
