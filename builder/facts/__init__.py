"""What a built program is, read from its own bytes: nothing a build claims is believed without looking."""
