"""The benchmark: the program beside the simulated teacher; `make bench`."""
