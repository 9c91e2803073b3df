"""What encoding the bytes of a file are in: UTF-8, or UTF-16 where they begin with its mark, as PowerShell's `>` writes it."""

import codecs

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def as_utf8(data: bytes) -> bytes:
    """The same text in UTF-8 without a mark, where the file's first bytes mark it; else the bytes as they are."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding).encode()
            except UnicodeError:
                break
    return data


def no_utf8(data: bytes) -> str:
    """What is wrong with bytes that are no UTF-8, and what to do."""
    if b"\0" in data:
        return "is not UTF-8 (it looks like UTF-16); save the file as UTF-8"
    return "is not UTF-8 (it may be Windows-1252 or Latin-1); save the file as UTF-8"
