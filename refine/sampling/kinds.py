"""Names that the command line knows before anything else is loaded."""

BIASES = ("chaser", "adversary", "none")
