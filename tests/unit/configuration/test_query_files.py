"""Query files as people write them: which of their colons are parameters, and which semicolons end them."""

from pathlib import Path

import pytest

from include.order_sync.configuration.query_files import parameters, read_query, statement_text

BOTH = {"window_start", "window_end"}
USED = "at >= :window_start and at < :window_end"


@pytest.mark.parametrize(
    ("text", "dialect", "found"),
    [
        pytest.param(f"where {USED}", "postgresql", BOTH, id="code"),
        pytest.param("where at >= :window_start -- and at < :window_end", "postgresql", {"window_start"}, id="comment"),
        pytest.param("where at >= :window_start --x\nand at < :window_end", "postgresql", BOTH, id="after a comment"),
        pytest.param("a >= :window_start /* < :window_end */", "sqlite", {"window_start"}, id="block comment"),
        pytest.param(
            "a >= :window_start /* /* x */ < :window_end */", "postgresql", {"window_start"}, id="nested comment"
        ),
        pytest.param(
            "a >= :window_start /* /* */ and a < :window_end", "sqlite", BOTH, id="comment that does not nest"
        ),
        pytest.param("a >= :window_start # < :window_end", "mysql", {"window_start"}, id="number sign"),
        pytest.param("a #> '{b}' >= :window_start and a < :window_end", "postgresql", BOTH, id="JSON path operator"),
        pytest.param("a >= :window_start --< :window_end", "mysql", BOTH, id="two minus signs without a blank"),
        pytest.param("a >= :window_start and b = ':window_end'", "postgresql", {"window_start"}, id="text"),
        pytest.param("b = 'it''s :a' and c = :d", "postgresql", {"d"}, id="doubled quote"),
        pytest.param(r"b = 'C:\' and c = :d or e = ':f'", "postgresql", {"d"}, id="backslash at the end"),
        pytest.param(r"b = 'it\'s :a' and c = :d", "mysql", {"d"}, id="escaped quote"),
        pytest.param(r"b = E'it\'s :a' and c = :d", "postgresql", {"d"}, id="escape text"),
        pytest.param('"a:b" = :c', "postgresql", {"c"}, id="quoted name"),
        pytest.param("`a :b` = :c", "mysql", {"c"}, id="name in backticks"),
        pytest.param('b = "it\\"s :a" and c = :d', "mysql", {"d"}, id="double quotes"),
        pytest.param("b = $$ :a '$$ and c = :d", "postgresql", {"d"}, id="dollar quotes"),
        pytest.param("b = $x$ $$ :a $x$ and c = :d", "postgresql", {"d"}, id="dollar quotes with a tag"),
        pytest.param("a::text = :b and c = '{1}'::int[]", "postgresql", {"b"}, id="casts"),
        pytest.param("a[1:2] = :b", "postgresql", {"b"}, id="slice"),
        pytest.param(r"a = 'at \:noon' and b = :c", "postgresql", {"c"}, id="colon that is escaped already"),
    ],
)
def test_parameters(text: str, dialect: str, found: set[str]) -> None:
    """A colon is a parameter only where the database reads code."""
    assert parameters(text, dialect) == found


def test_parameters_of_an_unknown_database() -> None:
    """Without a database, a parameter counts if any database would find it."""
    assert parameters("a >= :window_start # < :window_end") == BOTH
    assert parameters("a >= :window_start -- < :window_end") == {"window_start"}


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        pytest.param("select 1;", "select 1", id="one"),
        pytest.param("select 1 ;\n ;; \n", "select 1", id="several"),
        pytest.param("select 1; -- done;\n", "select 1 -- done;", id="comment behind it"),
        pytest.param("select 1; /* a */ ; /* b */", "select 1 /* a */  /* b */", id="comments between"),
        pytest.param("select ';' as x;", "select ';' as x", id="in a text"),
        pytest.param("select 1 -- ;", "select 1 -- ;", id="in a comment"),
    ],
)
def test_semicolons(text: str, statement: str) -> None:
    """Semicolons at the end are left out, also with comments behind and between them."""
    assert statement_text(text, "postgresql").split() == statement.split()


def test_byte_order_mark(tmp_path: Path) -> None:
    """A byte order mark, which Windows' editor writes, is no part of the query."""
    (tmp_path / "q.sql").write_bytes("\ufeffselect 'Ж'".encode())

    assert read_query(tmp_path / "q.sql") == "select 'Ж'"


@pytest.mark.parametrize("encoding", ["cp1251", "utf-16"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    """A file in another encoding is refused with its line, and without its text."""
    (tmp_path / "q.sql").write_bytes("select 1 as x,\n'Оплачен' as y".encode(encoding))

    with pytest.raises(ValueError, match=r"no UTF-8 \(line \d\): save it as UTF-8"):
        read_query(tmp_path / "q.sql")
