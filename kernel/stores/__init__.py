"""How it is kept: memory and SQLite behind one small port."""
