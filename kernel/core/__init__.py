"""Pure decisions: definitions, rows in memory, the compiled tables, (snapshot, command, now) -> Plan | Refusal."""
