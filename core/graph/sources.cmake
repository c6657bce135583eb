set(graph_sources)
