"""Many texts: files larger than memory, annotated on all cores or on many machines, and nothing lost on the way.

    sources   a file is cut into blocks of rows                      in the one process that reads
    annotator a block becomes the bytes of a shard                   in workers; a function of the block alone
    folder    shards are written whole, and the manifest at last     in the one process that writes

Since a shard depends on its rows alone, the output is the same for any number of workers, on one machine or many, and
after any interruption.
"""

from nlp_lstm.bulk.run import Summary, annotate

__all__ = ["Summary", "annotate"]
