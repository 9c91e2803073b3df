"""`eval judges`: the report card of judges and taggers on labelled cases."""
