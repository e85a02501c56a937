"""Round trips through the annotation tools themselves: ``make test-tools``."""
