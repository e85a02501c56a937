"""Long tests of what may come in; `make torture` runs them, plain pytest leaves them out."""
