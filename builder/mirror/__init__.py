"""Images that are taken over as they are: asked for, kept, and put into archives byte for byte."""
