"""The ledger: what each stream has used, one row each, and the sums over them. Blocks; call it off the event loop."""

from millstream.usage.ledger import Ledger, Unwritable
from millstream.usage.sums import COLUMNS, Sum

__all__ = ["COLUMNS", "Ledger", "Sum", "Unwritable"]
