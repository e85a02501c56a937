"""One short module for each engine that people run over a corpus: datatrove, Spark, Hugging Face datasets, Ray Data.

Each hands texts to `Detector.filter_batch` and has no rule of its own. None is imported by `detector`; import the one of your engine.
"""
