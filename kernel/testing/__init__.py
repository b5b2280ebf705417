"""The public test kit: clocks, hostile sinks, fault points, stateful tests, planted bugs, and what every store is held to."""
