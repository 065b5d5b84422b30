"""What runs all day: collector, compaction worker, profile sync."""
