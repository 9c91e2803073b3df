"""`review`: a page on this machine where a person says of one row after the other whether it is any good."""
