"""Words -> a line of text, with spaces where the script puts them.

Korean and alphabets have spaces between words; Chinese, Japanese, Thai, Lao, Khmer and Burmese
have none. Punctuation that stands alone goes to the word that it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # Kana and repetition marks
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
)
_WIDE_CLOSING = (
    "\u3001\u3002\u3009\u300b\u300d\u300f\u3011\uff01\uff05\uff09\uff0c\uff0e\uff1a-\uff1b\uff1f"
)
_WIDE_OPENING = "\u3008\u300a\u300c\u300e\u3010\uff08"
_CLOSING = rf",.!?;:%)\]}}\u2019\u201d\u2026\u00bb\u060c\u061b\u061f{_WIDE_CLOSING}"
_OPENING = rf"(\[{{\u00a1\u00bf\u00ab\u2018\u201c{_WIDE_OPENING}"

_TIGHT_AFTER = re.compile(rf"[{_OPENING}{_WIDE_CLOSING}]\Z")
"""Nothing comes between this end and the next word."""
_TIGHT_BEFORE = re.compile(
    rf"[{_CLOSING}{_WIDE_OPENING}](?!\d)|'(?:s|t|re|ve|ll|d|m)\b|n't\b|-[^\W\d]", re.IGNORECASE
)
"""Nothing comes between the word before and this beginning; ".5" is a word of its own."""
_UNSPACED_END = re.compile(rf"[{_UNSPACED}]\Z")
_UNSPACED_BEGIN = re.compile(rf"[{_UNSPACED}]")


def join(words: Sequence[str]) -> str:
    """The words as one line."""
    line = ""
    for word in (word.strip() for word in words):
        space = " " if line and word and _spaced(line, word) else ""
        line = f"{line}{space}{word}"
    return line


def _spaced(before: str, after: str) -> bool:
    if _TIGHT_AFTER.search(before[-1]) or _TIGHT_BEFORE.match(after):
        return False
    return not (_UNSPACED_END.search(before[-1]) and _UNSPACED_BEGIN.match(after))
