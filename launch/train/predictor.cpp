#include "launch/train/predictor.h"

#include <cstring>

#include "core/tensor/error.h"
#include "launch/train/engine_parts.h"

namespace convoy {
namespace {

constexpr std::chrono::minutes kDeadline{10};  // of one batch

}  // namespace

Predictor::Predictor(const TrainedModel& model, const StateMemory& memory, const Backend& backend, Result result)
    : model_(model), graph_(build_evaluation_graph(model.task)),
      result_(result == Result::logits ? graph_.logits : graph_.probabilities), batch_(model.task.micro_batch) {
  program_ = std::make_unique<Program>(graph_.graph, backend, ProgramOptions{.keep = {result_}});
  bind_state(*program_, memory);
  const TaskInputs& in = graph_.inputs;
  io_ = std::make_unique<ProgramIo>(*program_, backend.device(),
                                    std::vector<Value>{in.images, in.transforms, in.labels, in.weights},
                                    std::vector<Value>{result_});
  const auto make = [&](Value value) {
    return Tensor(graph_.graph.info(value).desc.shape, graph_.graph.info(value).desc.dtype);
  };
  images_ = make(in.images);
  transforms_ = make(in.transforms);
  labels_ = make(in.labels);   // zeros: the loss of a prediction is not read
  weights_ = make(in.weights);
  auto rows = transforms_.values<std::int32_t>();
  for (std::int64_t row = 0; row < batch_; ++row)  // the centre crop, as evaluation takes it
    for (int axis = 0; axis < model.task.image.rank() - 1; ++axis)
      rows[static_cast<std::size_t>(4 * row + axis)] = static_cast<std::int32_t>(
          (model.task.image[axis] - model.task.prepare.size[static_cast<std::size_t>(axis)]) / 2);
}

std::vector<std::vector<float>> Predictor::run(const std::vector<Tensor>& images) {
  if (static_cast<std::int64_t>(images.size()) > batch_) throw Error("more images than fit into one batch");
  const std::size_t image_bytes = images_.size_bytes() / static_cast<std::size_t>(batch_);
  for (std::size_t row = 0; row < images.size(); ++row) {
    if (images[row].shape() != model_.task.image || images[row].dtype() != model_.task.stored)
      throw Error("an image of another shape than the model's");
    std::memcpy(images_.bytes() + row * image_bytes, images[row].bytes(), image_bytes);
  }
  io_->put(graph_.inputs.images, images_.bytes());
  io_->put(graph_.inputs.transforms, transforms_.bytes());
  io_->put(graph_.inputs.labels, labels_.bytes());
  io_->put(graph_.inputs.weights, weights_.bytes());
  io_->run(kDeadline);
  const float* numbers = io_->get<float>(result_);
  std::vector<std::vector<float>> rows;
  for (std::size_t row = 0; row < images.size(); ++row) {
    const float* first = numbers + row * static_cast<std::size_t>(model_.task.classes);
    rows.emplace_back(first, first + model_.task.classes);
  }
  return rows;
}

}  // namespace convoy
