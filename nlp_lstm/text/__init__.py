"""Text, as strings and tokens: documents, tokenisers, vocabularies and word vectors."""
