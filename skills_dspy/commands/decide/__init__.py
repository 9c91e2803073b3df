"""`decide`: acceptance decided anew from the journal, into a dataset beside the run."""
