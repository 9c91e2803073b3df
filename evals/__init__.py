"""What judges the program: labelled cases, report card, scoring, benchmark, and a simulated teacher to test against."""
