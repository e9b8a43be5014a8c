"""A bundle boots on a machine that does not exist, with no way out, and a report says what it used."""
