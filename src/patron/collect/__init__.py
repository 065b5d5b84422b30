"""What happened, exactly as we were told it: files and told events become rows of `events`."""

READS = ("events",)
WRITES = ("events",)
