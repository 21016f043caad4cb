"""Examples, the files and data sets they come from, and the batches they go into."""
