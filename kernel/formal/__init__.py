"""What is checked of the specification alone: the oracle that interprets the tables, and the shapes that it explores."""
