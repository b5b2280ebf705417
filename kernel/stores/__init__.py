"""How it is kept: memory, SQLite, PostgreSQL and Redis behind one small port."""
