"""Which characters are not in the vocabularies of embedding models made for English."""

import unicodedata
from functools import cache

_READ = (
    "LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN", "HEBREW", "ARABIC", "DEVANAGARI", "BENGALI", "TAMIL", "CJK", "HANGUL",
    "HIRAGANA", "KATAKANA", "IDEOGRAPHIC", "COMBINING", "MODIFIER", "VARIATION", "SUPERSCRIPT", "SUBSCRIPT", "ZERO",
)  # fmt: skip
"""How the Unicode names of what such a vocabulary has begin: half of a script's letters, or those that make up most words."""
_IDEOGRAPHS = frozenset(
    "一三上下不世中主久之也事二五井京人亻仁介代仮伊会佐侍保信健元光八公内出分前劉力加勝北区十千南博原口古史司合吉同名"
    "和囗四国國土地坂城堂場士夏外大天太夫奈女子学宀宇安宗定宣宮家宿寺將小尚山岡島崎川州巿帝平年幸广弘張彳後御德心忄志"
    "忠愛成我戦戸手扌政文新方日明星春昭智曲書月有朝木本李村東松林森楊樹橋歌止正武比氏民水氵氷永江沢河治法海清漢瀬火版"
    "犬王生田男疒発白的皇目相省真石示社神福禾秀秋空立章竹糹美義耳良艹花英華葉藤行街西見訁語谷貝貴車軍辶道郎郡部都里野"
    "金鈴镇長門間阝阿陳陽雄青面風食香馬高龍龸"
)
"""The Chinese characters of that vocabulary."""
_ALWAYS_READ = "\u02b0"
"""Before this one stand Latin letters and what keyboards have."""
_MOSTLY = 0.5


def is_unread(text: str) -> bool:
    """Whether at least half of the letters, digits and pictures are in scripts that models made for English lack."""
    if text.isascii():
        return False
    found = [_foreign(char) for char in text if unicodedata.category(char)[0] in "LMN" or _foreign(char)]
    return sum(found) >= _MOSTLY * len(found) > 0


def has_unread(text: str) -> bool:
    """Whether anything of it is in such a script."""
    return not text.isascii() and any(map(_unread, text))


@cache
def _foreign(char: str) -> bool:
    """Whether it is of a script, or a picture, that models made for English lack."""
    category = unicodedata.category(char)
    if char < _ALWAYS_READ or category[0] in "PZC" or category in ("Sm", "Sc", "Sk"):
        return False
    return category == "Nd" or not unicodedata.name(char, "").startswith(_READ)


@cache
def is_ideograph(char: str) -> bool:
    """Whether it is a Chinese character."""
    return char >= "\u3400" and unicodedata.name(char, "").startswith("CJK UNIFIED")


def _unread(char: str) -> bool:
    return _foreign(char) or (is_ideograph(char) and char not in _IDEOGRAPHS)
