"""Columns of text between pandas and Arrow, whose functions need no Python for a row."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def array_of(values: pd.Series) -> pa.Array:
    """Return a column of text as one Arrow array."""
    array = pa.array(values, pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def series_of(values: pa.Array, index: pd.Index) -> pd.Series:
    """Return an Arrow array as a column with this index."""
    series: pd.Series = values.to_pandas()
    series.index = index
    return series


def may_hold(values: pa.Array, characters: bytes) -> bool:
    """Return False if no text of the column holds one of these ASCII characters or a control character.

    One pass over all bytes is cheaper than a pattern for each text.
    """
    if values.null_count == len(values):
        return False  # Arrow may give such a column a buffer of zeros
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    return bool(data.min(initial=0xFF) < ord(" ") or any((data == character).any() for character in characters))


# Zero-width blanks and joiners, marks of direction, the soft hyphen, the byte order mark, and the other characters that
# programs do not show. https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt, Default_Ignorable
INVISIBLE = (
    r"[\x{00ad}\x{034f}\x{061c}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180f}\x{200b}-\x{200f}"
    r"\x{202a}-\x{202e}\x{2060}-\x{206f}\x{3164}\x{fe00}-\x{fe0f}\x{feff}\x{ffa0}\x{fff0}-\x{fffb}"
    r"\x{1bca0}-\x{1bca3}\x{1d173}-\x{1d17a}\x{e0000}-\x{e0fff}]"
)


def without_invisible(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return the texts without characters that nobody sees."""
    if all(_is_ascii(chunk) for chunk in (texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts])):
        return texts
    return pc.replace_substring_regex(texts, INVISIBLE, "")


def _is_ascii(texts: pa.Array) -> bool:
    # The buffer may hold more than these texts: then the answer is no too often, which costs time alone.
    data = np.frombuffer(texts.buffers()[2] or b"", np.uint8)
    return bool(data.max(initial=0) < 0x80)
