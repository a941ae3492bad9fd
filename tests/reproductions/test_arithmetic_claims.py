"""The claims that arithmetic decides; those of all tables at once are decided by tests/test_zoo.py."""

import pytest

from reproductions import arithmetic_claims as claims

DECIDERS = [each for each in claims.CLAIMS if each is not claims.all_tables]


@pytest.mark.slow
@pytest.mark.parametrize("decide", DECIDERS)
def test_ours_is_the_papers_figure(decide):
    rows = list(decide())
    assert len(rows) >= 3
    assert not [row for row in rows if row[2] != row[3]]
