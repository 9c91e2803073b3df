"""The hosts that answer: which of them gets a request and when, which is well, and what each has done."""
