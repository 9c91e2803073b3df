"""The store: the only code that writes to disk (layer 4).

`journal` keeps every reply of the model and `recording` reads them, `files` writes plain files and logs of rows,
`run_dir` owns a task's directory.
"""
