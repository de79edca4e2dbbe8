"""Running and keeping runs: folders, shards, tasks, workers, clusters; the only place that knows dask."""
