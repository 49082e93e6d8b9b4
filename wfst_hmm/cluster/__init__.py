"""One corpus, many workers: shards, a journal, and engines from threads to Dask.

A corpus is divided into shards; a worker of some engine turns a shard into one block of bytes; the
journal keeps the blocks; results are put together from the journal in the corpus's order. Which
engine did the work, in which order, how often a worker died: nothing of it shows in the results.
"""
