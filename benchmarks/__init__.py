"""The benchmarks of Order Sync: each module measures one thing and returns figures; docs/performance.md shows them."""
