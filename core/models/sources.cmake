set(models_sources alexnet.cpp convnet.cpp densenet.cpp fractalnet.cpp googlenet.cpp highway.cpp lenet.cpp mlp.cpp registry.cpp resnet.cpp resnet_small.cpp shortcut.cpp summary.cpp
  summary_text.cpp table.cpp training.cpp vgg.cpp wide_resnet.cpp)
