"""Small wrong changes of the code, one at a time: a test must fail for each. `make mutants`."""
