"""From scores to answers: the best label path, and generated text. Tensors only."""
