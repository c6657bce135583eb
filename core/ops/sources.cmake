set(ops_sources
  op.cpp check.cpp window.cpp
  activation.cpp batch_norm.cpp chain.cpp channels.cpp connections.cpp conv.cpp dense.cpp dropout.cpp elementwise.cpp global_batch_norm.cpp loss.cpp
  pool.cpp prepare.cpp update.cpp)
