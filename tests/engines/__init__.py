"""The adapters on the real engines; ``make test-engines`` installs those and runs this folder, which plain ``pytest`` does not look into."""
