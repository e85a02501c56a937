"""The page of ``consent-detector review`` in a headless Chromium: make test-browser."""
