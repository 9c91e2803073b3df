"""`report`: runs as one page to look at, which holds all that it shows and loads nothing"""
