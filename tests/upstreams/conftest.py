import pytest

from tests.upstreams.fake import Fake


@pytest.fixture
def fake():
    """Makes fake upstreams, and closes them."""
    made = []

    def make(*replies, **options):
        made.append(Fake(*replies, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
