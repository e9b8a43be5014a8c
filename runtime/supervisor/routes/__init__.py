"""The supervisor's answers: pure functions of a request and what is known."""
