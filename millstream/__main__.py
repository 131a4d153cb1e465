"""`python -m millstream`: the command, where its script isn't on the PATH."""

from millstream.commands import millstream

millstream(prog_name="millstream")
