#include "launch/train/predictor.h"

#include <cstring>

#include "core/tensor/error.h"

namespace convoy {

Predictor::Predictor(TrainedModel& model, const Backend& backend)
    : model_(model), graph_(build_evaluation_graph(model.task)), batch_(model.task.micro_batch) {
  program_ = std::make_unique<Program>(graph_.graph, backend, ProgramOptions{.keep = {graph_.probabilities}});
  const auto make = [&](Value value) {
    Tensor tensor(graph_.graph.info(value).desc.shape, graph_.graph.info(value).desc.dtype);
    program_->bind_memory(value, tensor.bytes());
    return tensor;
  };
  images_ = make(graph_.inputs.images);
  transforms_ = make(graph_.inputs.transforms);
  labels_ = make(graph_.inputs.labels);   // zeros: the loss of a prediction is not read
  weights_ = make(graph_.inputs.weights);
  auto rows = transforms_.values<std::int32_t>();
  for (std::int64_t row = 0; row < batch_; ++row)  // the centre crop, as evaluation takes it
    for (int axis = 0; axis < model.task.image.rank() - 1; ++axis)
      rows[static_cast<std::size_t>(4 * row + axis)] = static_cast<std::int32_t>(
          (model.task.image[axis] - model.task.prepare.size[static_cast<std::size_t>(axis)]) / 2);
  for (std::size_t id = 0; id < graph_.graph.values().size(); ++id) {
    const ValueInfo& value = graph_.graph.values()[id];
    if (lies_in_state(value.role))
      program_->bind_memory({static_cast<int>(id)}, memory_of(model.state, value));
  }
}

std::vector<std::vector<float>> Predictor::run(const std::vector<Tensor>& images) {
  if (static_cast<std::int64_t>(images.size()) > batch_) throw Error("more images than fit into one batch");
  const std::size_t image_bytes = images_.size_bytes() / static_cast<std::size_t>(batch_);
  for (std::size_t row = 0; row < images.size(); ++row) {
    if (images[row].shape() != model_.task.image || images[row].dtype() != model_.task.stored)
      throw Error("an image of another shape than the model's");
    std::memcpy(images_.bytes() + row * image_bytes, images[row].bytes(), image_bytes);
  }
  program_->run();
  const float* probabilities = program_->data<float>(graph_.probabilities);
  std::vector<std::vector<float>> rows;
  for (std::size_t row = 0; row < images.size(); ++row) {
    const float* first = probabilities + row * static_cast<std::size_t>(model_.task.classes);
    rows.emplace_back(first, first + model_.task.classes);
  }
  return rows;
}

}  // namespace convoy
