set(models_sources)
