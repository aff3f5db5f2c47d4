"""How the weights that ship are made: small networks learn what larger ones answer. Nothing imports this room; README.md says how it is used."""
