"""Archives that other tools wrote (bundle-format 6, foreign profile): find an image, read its layers verified."""
