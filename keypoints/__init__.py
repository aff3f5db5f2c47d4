"""The mathematics: arrays in, arrays out. No file, no engine, no option."""
