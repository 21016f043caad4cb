"""From scores to answers: the best label path, and generated text. Numbers only, no texts."""
