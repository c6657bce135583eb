// convoy model: the zoo, and a model layer by layer.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/models/summary.h"
#include "core/models/training.h"
#include "core/tensor/error.h"
#include "launch/commands/commands.h"
#include "launch/check.h"
#include "launch/train/run_spec.h"

namespace convoy {
namespace {

int list(const Config& config) {
  if (config.get<std::string>("format") == "json") {
    auto json = nlohmann::ordered_json::array();
    for (const ModelEntry& model : models()) {
      auto options = nlohmann::ordered_json::array();
      for (const ModelOption& option : model.options)
        options.push_back({{"name", fmt::format("model.{}", option.name)}, {"default", option.fallback},
                           {"help", option.help}});
      json.push_back({{"name", model.name}, {"summary", model.summary}, {"source", model.source}, {"options", options}});
    }
    fmt::print("{}\n", json.dump(2));
    return 0;
  }
  for (const ModelEntry& model : models()) {
    fmt::print("{:<21} {}\n{:<21} {}\n", model.name, model.summary, "", model.source);
    for (const ModelOption& option : model.options)
      fmt::print("{:<21}   --model.{}={}   {}\n", "", option.name, option.fallback, option.help);
  }
  return 0;
}

/// --input=28x28x1, or the paper's.
Shape input_of(const Config& config, const ModelEntry& model) {
  const auto extents = config.get<std::vector<std::int64_t>>("input");
  if (extents.empty()) return model.input;
  if (extents.size() < 2 || extents.size() > 4)
    throw UsageError(fmt::format("--input has {} numbers; expected 1 to 3 spatial extents and the channels, as 32x32x3",
                                 extents.size()));
  return Shape(extents);
}

int show(const Config& config) {
  const std::string name = config.get<std::string>("model.name");
  if (name.empty()) throw UsageError("which model? convoy model show NAME; convoy model list names them");
  const ModelEntry& model = find_model(name);
  const std::int64_t classes = config.get<std::int64_t>("model.classes");
  Value input;
  const Graph graph = build_forward_graph(model, complete_options(model, model_options_of(config)),
                                          input_of(config, model), classes ? classes : model.classes, input);
  const ModelSummary summary = summarize(graph, input, name);
  const std::string format = config.get<std::string>("format");
  fmt::print("{}", format == "json" ? summary_json(summary) : format == "dot" ? summary_dot(summary) : summary_text(summary));
  return 0;
}

}  // namespace

Command model_command() {
  return {"model",
          "list the models, or show one layer by layer",
          {{.path = "model list",
            .summary = "list the models with their options",
            .usage = "model list [--format=text|json]",
            .description = "Lists every model that convoy can train, with its paper and its options.",
            .examples = "convoy model list",
            .run = list},
           {.path = "model show",
            .summary = "show a model layer by layer",
            .usage = "model show NAME [--input=28x28x1] [--model.OPTION=VALUE] [--format=text|json|dot]",
            .description = "Prints every layer with its output's extents, parameters, multiply-adds, the window of input "
                           "pixels that one output pixel sees, and the bytes of its output, for one sample. Without --input "
                           "and --model.classes it takes what the paper has. --format=dot is Graphviz.",
            .examples = "convoy model show lenet-5\n"
                        "convoy model show lenet-5 --model.variant=modern --format=dot | dot -Tpng > lenet.png\n"
                        "convoy model show resnet-20 --input=28x28x1 --format=json",
            .positional = "model.name",
            .run = show}}};
}

}  // namespace convoy
