"""The shapes of the data files in `configs/`, each checked when it is read."""
