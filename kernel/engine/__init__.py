"""The only order of things: load, decide, commit; then act. Relay, timers, audit, fault points."""
