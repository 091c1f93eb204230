"""Models of other programs: read once, stored as safetensors and a card; and ours in their form.

Nothing in a foreign file is run: checkpoints are read with ``weights_only=True``, configurations as plain
tables.
"""
