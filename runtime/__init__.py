"""Admit -> stage -> extract -> boot: the airgapped host's half of Sealift."""
