set(ops_sources)
