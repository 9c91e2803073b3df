"""How good seeds are made bad on purpose, one text at a time; evals/corruptions.py names the ways and makes the cases."""
