"""What runs all day: collector, compaction worker, live profiles."""
