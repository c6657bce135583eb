set(models_sources registry.cpp lenet.cpp mlp.cpp resnet_small.cpp summary.cpp summary_text.cpp training.cpp)
