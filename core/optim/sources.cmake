set(optim_sources)
