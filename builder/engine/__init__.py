"""Images that docker or podman build: what a Containerfile says, and the one door to the engines."""
