"""The plan: a graph of steps with content ids, and what is known about each before anything runs."""
