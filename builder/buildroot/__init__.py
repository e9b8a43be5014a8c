"""The build root: C compilers, libc and libraries as locked Debian packages, entered with nothing of the machine."""
