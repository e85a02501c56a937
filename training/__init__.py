"""From labelled documents to a model file: read, compose, fit, evaluate."""
