"""The blocks of output in README, made by the commands that they show; the picture of the imports."""
