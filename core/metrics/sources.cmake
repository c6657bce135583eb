set(metrics_sources)
