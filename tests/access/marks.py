class Marks:
    """In memory, with a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.ends: dict[str, float] = {}

    def put(self, word: str, seconds: int) -> None:
        self.ends[word] = self.now + seconds

    def has(self, word: str) -> bool:
        return self.ends.get(word, 0) > self.now
