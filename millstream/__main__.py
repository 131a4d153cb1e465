"""Run the command as `python -m millstream`, for when its script isn't on the PATH."""

from millstream.commands import millstream

millstream(prog_name="millstream")
