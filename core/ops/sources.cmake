set(ops_sources
  op.cpp check.cpp window.cpp
  activation.cpp batch_norm.cpp chain.cpp channels.cpp connections.cpp conv.cpp dense.cpp dropout.cpp elementwise.cpp global_batch_norm.cpp
  layer_norm.cpp local_response.cpp loss.cpp paths.cpp pool.cpp prepare.cpp resample.cpp update.cpp)
