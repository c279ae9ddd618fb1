"""Write a traffic file of any number of distinct records, the same bytes for the same number and seed.

Faker draws pools of names, sentences and emoji once, in many languages. Each record is then one combination
of them. The combinations are numbered, and a walk through the numbers by a stride that shares no factor with
how many there are is at none of them twice. So no set of what was written is kept, memory does not grow with
the number of records, and a longer file begins with the records of a shorter one.
"""

import argparse
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import gcd
from pathlib import Path

from faker import Faker

DEFAULT_RECORDS = 100
DEFAULT_SEED = 1

FIRST = {"name": "Leonel Aguilar", "msg": "¡Hola Mundo!"}
"""Record 0 of every file. No combination equals it: those end with an emoji."""

GREETINGS = {
    "es_ES": ("¡Hola, qué tal!", "¿Cómo estás, señora?", "¡Buenos días, niño!", "¡Feliz cumpleaños!"),
    "en_US": ("Hello world!", "Good morning!", "How's it going?", "Long time no see!"),
    "pt_BR": ("Olá, tudo bem?", "Bom dia, coração!", "Até amanhã!", "Que saudação é essa?"),
    "fr_FR": ("Bonjour à tous !", "Ça va bien ?", "À bientôt, j'espère !", "Joyeux Noël !"),
    "de_DE": ("Grüß Gott!", "Schöne Grüße!", "Wie geht's dir?", "Tschüss, bis später!"),
    "pl_PL": ("Cześć, jak się masz?", "Dzień dobry!", "Miłego dnia!", "Do zobaczenia wkrótce!"),
    "cs_CZ": ("Dobrý den!", "Ahoj, jak se máš?", "Přeji hezký večer!", "Na shledanou příště!"),
    "da_DK": ("Hvordan går det?", "God aften, søde ven!", "Så ses vi på lørdag!", "Glædelig jul!"),
    "vi_VN": ("Xin chào!", "Bạn có khỏe không?", "Hẹn gặp lại nhé!", "Chúc mừng năm mới!"),
    "el_GR": ("Γειά σου!", "Καλημέρα!", "Τι κάνεις;", "Χρόνια πολλά!"),
    "ru_RU": ("Привет, мир!", "Доброе утро!", "Как дела?", "До свидания!"),
    "uk_UA": ("Вітаю!", "Добрий вечір!", "Як ся маєш?", "Щасливої дороги!"),
    "hy_AM": ("Բարև։", "Բարի լույս։", "Ինչպե՞ս ես։", "Ցտեսություն։"),
    "ar_AA": ("مرحبا!", "صباح الخير!", "كيف حالك؟", "إلى اللقاء!"),
    "fa_IR": ("سلام!", "صبح بخیر!", "حال شما چطور است؟", "روز خوش!"),
    "he_IL": ("שלום!", "בוקר טוב!", "מה שלומך?", "להתראות!"),
    "hi_IN": ("नमस्ते!", "शुभ प्रभात!", "आप कैसे हैं?", "फिर मिलेंगे!"),
    "bn_BD": ("নমস্কার!", "শুভ সকাল!", "কেমন আছেন?", "আবার দেখা হবে!"),
    "th_TH": ("สวัสดี!", "อรุณสวัสดิ์!", "สบายดีไหม?", "แล้วพบกันใหม่!"),
    "ja_JP": ("こんにちは!", "おはようございます!", "お元気ですか?", "また明日!"),
    "ko_KR": ("안녕하세요!", "좋은 아침이에요!", "잘 지내세요?", "또 만나요!"),
    "zh_CN": ("你好!", "早上好!", "最近怎么样?", "明天见!"),
}
"""Faker's locales, each with greetings of its language. None of a locale's greetings begins with another."""

WORDS = {
    "hi_IN": "घर पानी सूरज किताब मित्र नदी रास्ता बारिश संगीत चाय फूल आकाश शहर गाँव समय सपना",
    "ko_KR": "하늘 바다 친구 노래 커피 여행 시간 바람 구름 꽃 도시 마음 사람 이야기 저녁 사진",
}
"""Words for the locales of which Faker knows names but no words: it would speak Latin there."""

NAMES, SENTENCES, EMOJI = 256, 512, 64
"""How many Faker draws: names and sentences for each locale, emoji for all of them."""


@dataclass(frozen=True)
class Locale:
    """What a locale's records are put together from: escaped for JSON, in UTF-8, no value twice."""

    names: tuple[bytes, ...]
    greetings: tuple[bytes, ...]
    sentences: tuple[bytes, ...]


class Pools:
    """The parts of all records, and the numbering of their combinations.

    A record tells its combination: no two locales share a name, no greeting of a locale begins with another,
    an emoji holds no space. So different numbers are different records.
    """

    def __init__(self, seed: int) -> None:
        taken: set[str] = {FIRST["name"]}
        self.locales = [_draw_locale(name, seed, taken) for name in GREETINGS]
        fake = _seeded("en_US", seed)
        self.emoji = tuple(map(_escaped, _distinct(fake.emoji, EMOJI, set())))
        each = NAMES * SENTENCES * EMOJI * len(GREETINGS["en_US"])
        self.combinations = len(self.locales) * each

    def record(self, number: int) -> bytes:
        """One combination as a JSON object, in UTF-8; `number` is from 0 up to `combinations`."""
        number, place = divmod(number, len(self.locales))
        locale = self.locales[place]
        number, name = divmod(number, NAMES)
        number, greeting = divmod(number, len(locale.greetings))
        sentence, emoji = divmod(number, EMOJI)
        greeting = (greeting + sentence) % len(locale.greetings)  # else a walk lingers at one greeting
        return b'{"name": "%b", "msg": "%b %b %b"}' % (
            locale.names[name],
            locale.greetings[greeting],
            locale.sentences[sentence],
            self.emoji[emoji],
        )


def _draw_locale(locale: str, seed: int, taken: set[str]) -> Locale:
    fake = _seeded(locale, seed)
    words = WORDS.get(locale, "").split() or None
    names = _distinct(fake.name, NAMES, taken)
    sentences = _distinct(lambda: fake.sentence(4, ext_word_list=words).strip(), SENTENCES, set())
    return Locale(*(tuple(map(_escaped, part)) for part in (names, GREETINGS[locale], sentences)))


def _seeded(locale: str, seed: int) -> Faker:
    fake = Faker(locale)
    fake.seed_instance(f"{locale} {seed}")
    return fake


def _distinct(draw: Callable[[], str], count: int, taken: set[str]) -> list[str]:
    """Draws until there are `count` values that are not in `taken`, to which it adds them."""
    values: list[str] = []
    for _ in range(100 * count):
        value = draw()
        if value not in taken:
            taken.add(value)
            values.append(value)
        if len(values) == count:
            return values
    raise RuntimeError(f"{count} distinct values are needed, Faker gave {len(values)} in {100 * count} draws")


def _escaped(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode()


def records(count: int, seed: int) -> Iterator[bytes]:
    """Yield the first `count` records of a seed's sequence, each a JSON object in UTF-8, all different.

    Raises:
        ValueError: `count` is below 1 or above the number of combinations.

    """
    if count < 1:
        raise ValueError(f"a traffic file holds at least 1 record, not {count}: give --records 1 or more")
    pools = Pools(seed)
    most = pools.combinations + 1
    if count > most:
        raise ValueError(f"{most} distinct records can be made, not {count}: give --records {most} or less")
    yield json.dumps(FIRST, ensure_ascii=False).encode()
    yield from map(pools.record, _walk(pools.combinations, count - 1, seed))


def _walk(size: int, steps: int, seed: int) -> Iterator[int]:
    """Yield the first `steps` numbers of a walk that is at each number below `size` once in `size` steps."""
    rng = random.Random(f"walk {seed}")  # noqa: S311 - it is to be repeatable; nothing here is secret
    number, stride = rng.randrange(size), rng.randrange(size)
    while gcd(stride, size) != 1:
        stride = rng.randrange(size)
    for _ in range(steps):
        yield number
        number = (number + stride) % size


def write(path: Path, count: int, seed: int) -> int:
    """Write a JSON array, one record a line, whole or not at all, and return its size in bytes.

    Raises:
        ValueError: as `records`.
        OSError: the folder is missing or cannot be written.
        FileExistsError: something of that name is there; it is left as it is.

    """
    refuse_existing(path)
    lines = records(count, seed)
    first = next(lines)  # what cannot be made is refused before a file is there
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            file.write(b"[\n" + first)
            file.writelines(b",\n" + line for line in lines)
            file.write(b"\n]\n")
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        refuse_existing(path)  # writing many records takes long enough for another to have put one there
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return size


def refuse_existing(path: Path) -> None:
    """Raise FileExistsError if there is anything of this name, a link that leads nowhere included."""
    if os.path.lexists(path):
        remedy = "Name another (make data OUT=..., or --out ...), or move it away"
        raise FileExistsError(f"{path} is there already, and a traffic file never takes another's place. {remedy}")


def main(argv: list[str] | None = None) -> int:
    """Run the command: exit code 0 with the file written, 2 with what was wrong on stderr."""
    parser = argparse.ArgumentParser(description="Write a new traffic file: a JSON array, one record a line.")
    parser.add_argument("--records", type=int, default=DEFAULT_RECORDS, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="same seed, same file (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="the file to write (default: data/made-RECORDS-SEED.json)")
    wanted = parser.parse_args(argv)
    out = wanted.out or Path(f"data/made-{wanted.records}-{wanted.seed}.json")
    try:
        size = write(out, wanted.records, wanted.seed)
    except (ValueError, OSError) as wrong:
        print(f"make_data: {wrong}", file=sys.stderr)
        return 2
    print(f"{out}: {wanted.records} records, {size} bytes, seed {wanted.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
