"""What benchmark.py measures: networks by engine, the stages of a picture, whole runs from the shell; and how it is shown."""
