"""The live lane: real llama.cpp with a real model, see `make test-live`; `make test` leaves it alone."""
