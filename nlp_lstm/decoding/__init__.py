"""From scores to answers: the best label path, and later generated text. Tensors only."""
