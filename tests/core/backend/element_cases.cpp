#include <fmt/format.h>

#include <limits>

#include "core/backend/parity_cases.h"
#include "core/optim/scalars.h"

namespace convoy::test {
namespace {

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all{{1, 1},          {3, 7},    {2, 5, 5, 6},
                                      {2, 28, 28, 16}, {4, 1000}, {1, 3, 4, 5, 33}};
  return all;
}

Tensor scaled(Tensor tensor, double factor) {
  for (double& v : tensor.values<double>()) v *= factor;
  return rounded(tensor);
}

Tensor keys(std::int64_t n) {
  Tensor tensor({n, 2}, DType::u64);
  for (std::int64_t i = 0; i < n; ++i) {
    tensor.values<std::uint64_t>()[static_cast<std::size_t>(2 * i)] = 3;
    tensor.values<std::uint64_t>()[static_cast<std::size_t>(2 * i + 1)] =
        static_cast<std::uint64_t>(i) * 1000003;
  }
  return tensor;
}

/// Images as stored.
Tensor images(Shape shape, DType dtype) {
  const std::int32_t limit = dtype == DType::u16 ? 65536 : 256;
  const Tensor whole = random_integers(shape, limit, 11);
  Tensor tensor(shape, dtype);
  const auto values = whole.values<std::int32_t>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::u8) tensor.values<std::uint8_t>()[i] = static_cast<std::uint8_t>(values[i]);
    if (dtype == DType::u16) tensor.values<std::uint16_t>()[i] = static_cast<std::uint16_t>(values[i]);
    if (dtype == DType::f32) tensor.values<float>()[i] = static_cast<float>(values[i]) / 256.0f;
  }
  return tensor;
}

/// Offsets from well inside the padding to past the far border, all flips.
Tensor transforms(std::int64_t n, int axes) {
  Tensor tensor({n, 4}, DType::i32);
  const Tensor offsets = random_integers({n, 4}, 9, 12);
  for (std::int64_t i = 0; i < n; ++i)
    for (int a = 0; a < 4; ++a) {
      const auto at = static_cast<std::size_t>(4 * i + a);
      const auto drawn = offsets.values<std::int32_t>()[at];
      tensor.values<std::int32_t>()[at] = a == 3 ? static_cast<std::int32_t>(i % (1 << axes)) : drawn - 4;
    }
  tensor.values<std::int32_t>()[0] = -100;  // one crop wholly in the padding
  return tensor;
}

}  // namespace

std::vector<ParityFamily> elementwise_families() {
  std::vector<ParityFamily> families;
  std::vector<Shape> all = shapes();
  all.push_back({8197});  // a few elements beyond a whole number of blocks, whatever their type
  for (const Shape& shape : all) {
    const std::string name = fmt::format("shape {}", shape.str());
    ParityFamily family;
    for (const ActivationAttributes& attributes :
         {ActivationAttributes{ActivationKind::relu}, {ActivationKind::tanh}, {ActivationKind::sigmoid},
          {ActivationKind::scaled_tanh}, {ActivationKind::leaky_relu, 0.1}, {ActivationKind::elu, 1.25},
          {ActivationKind::negative_part}, {ActivationKind::complement}, {ActivationKind::scale, -0.3}})
      for (const double scale : {1e-4, 1.0, 30.0}) {
        const ParityCase forward{fmt::format("{} kind {} values {}", name, static_cast<int>(attributes.kind), scale),
                                 OpKind::activation,
                                 attributes,
                                 {scaled(random_single(shape, 1), scale)},
                                 1,
                                 {}};
        family.push_back(forward);
        // The derivative in terms of a rounded y near +-1 is what single precision makes of it.
        const Tensor y = scale > 1 ? random_single(shape, 5) : rounded(run_reference(forward)[0]);
        family.push_back(
            {forward.name, OpKind::activation_backward, attributes, {y, random_single(shape, 2)}, 1, {}});
      }
    const Tensor a = random_single(shape, 1), b = random_single(shape, 2), c = random_single(shape, 3);
    family.push_back({name, OpKind::add, {}, {a, b}, 2, {}});
    family.push_back({name, OpKind::add, {}, {a, b, c}, 3, {}});
    family.push_back({name, OpKind::add, {}, {a, b, c, a}, 4, {}});
    family.push_back({name, OpKind::add, {}, {a, b, c, a, b, c, c}, 7, {}});
    family.push_back({name, OpKind::multiply, {}, {a, b}, 1, {}});
    for (const DType to : {DType::f32, DType::bf16, DType::f16})
      family.push_back({name, OpKind::cast, CastAttributes{to}, {a}, 1, {}});
    families.push_back(family);
  }
  return families;
}

std::vector<ParityFamily> channel_families() {
  std::vector<ParityFamily> families;
  std::vector<Shape> all = shapes();
  // Channels that share no factor with an access; more channels than a block takes, with some left over; long sums.
  for (const Shape& shape : {Shape{1100, 33}, {5, 515}, {9, 260}, {36000, 1}, {7, 900, 6}}) all.push_back(shape);
  for (const Shape& shape : all) {
    const std::string name = fmt::format("shape {}", shape.str());
    const std::int64_t c = shape[-1];
    const double rows = static_cast<double>(shape.elements() / c);
    const Tensor x = random_single(shape, 1), y = random_single(shape, 2), g = random_single({c}, 3);
    ParityFamily family{
        {name, OpKind::add_channels, {}, {x, g}, 1, {}},
        {name, OpKind::multiply_channels, {}, {x, g}, 1, {}},
        {name, OpKind::sum_to_channels, {}, {x}, rows, {}},
        {name, OpKind::dot_to_channels, {}, {x, y}, rows, {}},
        {name, OpKind::concat, {}, {x, random_single(shape.with(-1, 3), 4), y}, 1, {}},
        {name, OpKind::pad_channels, ChannelsAttributes{.begin = 2, .count = c + 5}, {x}, 1, {}},
        {name, OpKind::slice, ChannelsAttributes{.begin = c / 3, .count = c - c / 3}, {x}, 1, {}}};
    families.push_back(family);
  }
  // Whole multiples of 16 bytes in every type, and more inputs than a kernel may take at once.
  const Tensor wide = random_single({3, 5, 16}, 1), wider = random_single({3, 5, 40}, 2);
  std::vector<Tensor> many;
  for (int i = 0; i < 35; ++i) many.push_back(random_single({7, 1 + i % 4}, static_cast<std::uint64_t>(i)));
  families.push_back({{"wide channels", OpKind::concat, {}, {wide, wider, wide}, 1, {}},
                      {"wide channels", OpKind::slice, ChannelsAttributes{.begin = 8, .count = 24}, {wider}, 1, {}},
                      {"wide channels", OpKind::pad_channels, ChannelsAttributes{.begin = 8, .count = 56}, {wider}, 1, {}},
                      {"no zeros before", OpKind::pad_channels, ChannelsAttributes{.begin = 0, .count = 41}, {wider}, 1, {}},
                      {"35 inputs", OpKind::concat, {}, many, 1, {}}});
  ConnectionsAttributes connections{.outputs = 3, .inputs = 4, .links = {}};
  connections.links = {{0, 0}, {0, 2}, {1, 1}, {1, 3}, {2, 3}, {2, 0}};
  families.push_back(
      {{"connections", OpKind::scatter_connections, connections, {random_single({6, 5, 5}, 1)}, 1, {}},
       {"connections", OpKind::gather_connections, connections, {random_single({3, 5, 5, 4}, 2)}, 1, {}}});
  ConnectionsAttributes hundreds{.outputs = 20, .inputs = 17, .links = {}};
  for (int i = 0; i < 300; ++i) hundreds.links.emplace_back(i * 7 % 20, i / 20);
  families.push_back(
      {{"300 links", OpKind::scatter_connections, hundreds, {random_single({300, 3}, 1)}, 1, {}},
       {"300 links", OpKind::gather_connections, hundreds, {random_single({20, 3, 17}, 2)}, 1, {}}});
  return families;
}

std::vector<ParityFamily> loss_families() {
  std::vector<ParityFamily> families;
  for (const Shape& shape : {Shape{1, 10}, {16, 10}, {5, 1}, {7, 1000}, {2, 6, 5, 21}, {3, 4, 33}, {3, 8}, {2, 5000}, {2, 61, 70, 3}}) {
    const std::string name = fmt::format("shape {}", shape.str());
    const std::int64_t n = shape[0], k = shape[-1];
    const double sample = static_cast<double>(shape.elements(1, shape.rank()));
    const LossAttributes loss{.scale = 0.5};
    const Tensor large = scaled(positive_single({1}, 6), 65536);
    const Tensor logits = scaled(random_single(shape, 1), 3), weights = positive_single({n}, 2);
    const Tensor labels =
        random_integers(Shape(shape.extents().first(static_cast<std::size_t>(shape.rank() - 1))),
                        static_cast<std::int32_t>(k), 3);
    Tensor target = random_single(shape, 4);
    for (double& v : target.values<double>()) v = v > 0 ? 1 : 0;
    const ParityCase softmax{name, OpKind::softmax_cross_entropy, loss, {logits, labels, weights}, sample, {}};
    const ParityCase binary{name, OpKind::binary_cross_entropy, loss, {logits, target, weights}, sample, {}};
    const Tensor p = rounded(run_reference(softmax)[1]), b = rounded(run_reference(binary)[1]);
    ParityFamily family{
        softmax,
        binary,
        {name, OpKind::mean_squared, loss, {logits, random_single(shape, 5), weights}, sample, {}},
        {name, OpKind::softmax_cross_entropy_backward, loss, {p, labels, weights}, 1, {}},
        {name, OpKind::binary_cross_entropy_backward, loss, {b, target, weights}, 1, {}},
        {name, OpKind::mean_squared_backward, loss, {logits, random_single(shape, 5), weights}, 1, {}},
        {name + " scaled", OpKind::softmax_cross_entropy_backward, loss, {p, labels, weights, large}, 1, {}},
        {name + " scaled", OpKind::binary_cross_entropy_backward, loss, {b, target, weights, large}, 1, {}},
        {name + " scaled", OpKind::mean_squared_backward, loss, {logits, target, weights, large}, 1, {}},
        {name, OpKind::sum_weights, {}, {weights}, static_cast<double>(n), {}}};
    const LossAttributes smoothed{.scale = 0.5, .smoothing = 0.1};
    family.push_back({name + " smoothed", OpKind::softmax_cross_entropy, smoothed, {logits, labels, weights},
                      sample + static_cast<double>(k), {}});
    family.push_back({name + " smoothed", OpKind::softmax_cross_entropy_backward, smoothed, {p, labels, weights}, 1, {}});
    for (const std::int64_t top : {std::int64_t{1}, std::int64_t{5}})
      if (shape.rank() == 2 && top <= k) {
        Tensor tied = logits.clone();
        for (double& v : tied.values<double>()) v = static_cast<double>(static_cast<int>(v));
        for (const Tensor& x : {logits, tied})
          family.push_back(
              {name, OpKind::top_k, TopKAttributes{top}, {x, labels, weights}, static_cast<double>(n), {}});
      }
    families.push_back(family);
  }
  return families;
}

std::vector<ParityFamily> data_families() {
  std::vector<ParityFamily> families;
  for (const DType dtype : {DType::u8, DType::u16, DType::f32}) {
    const std::string name = fmt::format("stored as {}", name_of(dtype));
    const PrepareAttributes two{
        .axes = 2, .size = {7, 6, 0}, .pad_value = 3, .mean = {100, 120.5, 90}, .deviation = {50, 61.25, 70}};
    PrepareAttributes one = two, three = two, gray = two, bands = two;
    one.axes = 1;
    three.axes = 3;
    three.size = {3, 5, 4};
    gray.size = {28, 28, 0};
    gray.mean = {72.9};
    gray.deviation = {90.02};
    bands.axes = 1;
    bands.mean.assign(70, 100.25);
    bands.deviation.assign(70, 50);
    bands.mean[69] = 80;
    families.push_back(
        {{name + ", 2d", OpKind::prepare, two, {images({9, 8, 9, 3}, dtype), transforms(9, 2)}, 1, {}},
         {name + ", 1d", OpKind::prepare, one, {images({6, 11, 3}, dtype), transforms(6, 1)}, 1, {}},
         {name + ", 3d", OpKind::prepare, three, {images({9, 4, 6, 5, 3}, dtype), transforms(9, 3)}, 1, {}},
         {name + ", 70 bands", OpKind::prepare, bands, {images({3, 11, 70}, dtype), transforms(3, 1)}, 1, {}},
         {name + ", gray", OpKind::prepare, gray, {images({8, 28, 28, 1}, dtype), transforms(8, 2)}, 1, {}}});
  }
  for (const double rate : {0.0, 0.1, 0.5, 0.9})
    for (const Shape& shape : {Shape{3, 7}, {5, 84}, {2, 9, 9, 13}, {2, 4096}, {2, 10008}, {2, 5001}})
      families.push_back({{fmt::format("dropout {} of {}", rate, shape.str()),
                           OpKind::dropout,
                           DropoutAttributes{.rate = rate, .seed = 42, .name = "fc6"},
                           {random_single(shape, 1), keys(shape[0])},
                           1,
                           {}}});
  for (const int paths : {1, 2, 5})
    for (const double rate : {0.0, 0.15, 0.95})
      for (const double global : {0.0, 0.5, 1.0}) {
        const PathsAttributes a{.paths = paths, .rate = rate, .keeps_one = paths > 1, .global = global, .columns = 5, .seed = 42,
                                .name = "block1/join", .network = "columns"};
        families.push_back({{fmt::format("{} paths, rate {}, global {}", paths, rate, global), OpKind::path_weights, a,
                             {keys(37)}, 1, {}}});
      }
  for (const Shape& shape : {Shape{3, 7}, {5, 84}, {2, 9, 9, 13}, {4, 4096}, {3, 10008}}) {
    Tensor weights = random_single({shape[0]}, 2);
    weights.values<double>()[1] = 0;
    families.push_back({{fmt::format("samples of {}", shape.str()), OpKind::scale_samples, {}, {random_single(shape, 1), weights}, 1, {}}});
  }
  return families;
}

namespace {

/// Every way in which a guard can decide: finite or not, wanted or not, halted or not, before and at the ends of its scales.
ParityFamily guard_family() {
  ParityFamily family;
  for (const GuardAttributes& rules : {GuardAttributes{}, GuardAttributes{.halts = true},
                                       GuardAttributes{.scaling = true, .most = 1024, .growth_every = 3},
                                       GuardAttributes{.scaling = true, .most = 1024, .growth_every = 3, .halts = true}})
    for (const double bad : {0.0, std::numeric_limits<double>::quiet_NaN(), -std::numeric_limits<double>::infinity()})
      for (const double scale : {1.0, 512.0, 1024.0})
        for (const int marks : {0, 1, 2, 3}) {
          Tensor scalars({kStepScalars}, DType::f64);
          scalars.values<double>()[kWanted] = marks & 1;
          scalars.values<double>()[kHalted] = marks >> 1;
          scalars.values<double>()[kLossScale] = rules.scaling ? scale : 1;
          scalars.values<double>()[kGoodSteps] = scale == 512 ? 2 : 1;
          Tensor weight({1}, DType::f64), long_bucket = random_single({5000}, 1), last = random_single({17}, 2);
          weight.values<double>()[0] = 96;
          if (bad != 0) (scale == 1 ? last.values<double>()[16] : long_bucket.values<double>()[4097]) = bad;
          family.push_back({fmt::format("guard scaling {} halts {} value {} scale {} marks {}", rules.scaling, rules.halts,
                                        bad, scale, marks),
                            OpKind::step_guard, rules, {weight, scalars, long_bucket, last}, 1, {1}});
        }
  return family;
}

/// The rules of two slots, lars with and without norms, and clipped elements.
ParityFamily rule_family(const Tensor& scalars) {
  ParityFamily family;
  Tensor norms({3}, DType::f64);
  norms.values<double>()[0] = 1e6;  // of the gradient, before it is divided
  norms.values<double>()[2] = 17;
  for (const Shape& shape : {Shape{1}, {17}, {16, 3, 3, 16}, {40000}})
    for (const double clip : {0.0, 0.005})
      for (const bool decoupled : {false, true}) {
        const Tensor w = random_single(shape, 1), v = random_single(shape, 2), gradient = random_single(shape, 3),
                     squares = positive_single(shape, 4);
        UpdateAttributes a{.momentum = 0.8, .decay = 1e-2, .decoupled = decoupled, .rate_factor = 2, .epsilon = 1e-3,
                           .clip_value = clip};
        const std::string name = fmt::format(" {} clipped to {} decoupled {}", shape.str(), clip, decoupled);
        a.rule = Optimizer::rmsprop;
        if (!decoupled)
          family.push_back({"rmsprop" + name, OpKind::weight_update, a, {w, squares, v, gradient, scalars}, 4, {0, 1, 2}});
        a.rule = Optimizer::adam;
        family.push_back({"adam" + name, OpKind::weight_update, a, {w, v, squares, gradient, scalars}, 4, {0, 1, 2}});
        if (clip > 0 || decoupled) continue;
        a.rule = Optimizer::adagrad;
        family.push_back({"adagrad" + name, OpKind::weight_update, a, {w, squares, gradient, scalars}, 3, {0, 1}});
        a.rule = Optimizer::lars;
        family.push_back({"lars plain" + name, OpKind::weight_update, a, {w, v, gradient, scalars}, 3, {0, 1}});
        a.gradient_norm = 0;
        a.weight_norm = 2;
        a.trust = 0.1;
        family.push_back({"lars" + name, OpKind::weight_update, a, {w, v, gradient, scalars, norms}, 3, {0, 1}});
        family.push_back({"lars with a copy" + name, OpKind::weight_update, a,
                          {w, v, gradient, scalars, norms, random_single(shape, 5)}, 3, {0, 1, 5}});
      }
  return family;
}

ParityFamily norm_family(const Tensor& scalars) {
  ParityFamily family{{"norms", OpKind::squared_norms, {},
                       {random_single({1}, 1), random_single({1023}, 2), random_single({1024}, 3), random_single({1025}, 4),
                        random_single({3, 3, 16, 64}, 5), random_single({70001}, 6)}, 1, {}}};
  for (const double limit : {0.1, 1e6}) {
    Tensor norms({4}, DType::f64);
    for (double& norm : norms.values<double>()) norm = 1000;
    family.push_back({fmt::format("clip to {}", limit), OpKind::clip_norm, ClipAttributes{limit, 3}, {norms, scalars}, 1, {1}});
  }
  return family;
}

ParityFamily average_family(const Tensor& scalars) {
  ParityFamily family;
  Tensor refused = scalars.clone();
  refused.values<double>()[kApply] = 0;
  for (const AverageAttributes& a : {AverageAttributes{}, AverageAttributes{.from = 1}, AverageAttributes{.from = 7},
                                     AverageAttributes{.decay = 0.99}, AverageAttributes{.decay = 0.1}})
    for (const Tensor& marks : {scalars, refused})
      family.push_back({fmt::format("average decay {} from {} apply {}", a.decay, a.from, marks.values<double>()[kApply]),
                        OpKind::average_update, a, {random_single({1033}, 1), random_single({1033}, 2), marks}, 2, {0}});
  return family;
}

}  // namespace

std::vector<ParityFamily> update_families() {
  Tensor scalars({kStepScalars}, DType::f64);
  scalars.values<double>()[kLearningRate] = 0.1;
  scalars.values<double>()[kDivisor] = 96.5;
  scalars.values<double>()[kApply] = 1;
  Tensor refused = scalars.clone();
  refused.values<double>()[kApply] = 0;
  ParityFamily sgd;
  for (const Shape& shape : {Shape{1}, {17}, {16, 3, 3, 16}, {40000}})
    for (const bool nesterov : {false, true})
      for (const double decay : {0.0, 1e-2})
        sgd.push_back({fmt::format("sgd {} nesterov {} decay {}", shape.str(), nesterov, decay),
                       OpKind::weight_update,
                       UpdateAttributes{.momentum = 0.9, .nesterov = nesterov, .decay = decay, .rate_factor = 2},
                       {random_single(shape, 1), random_single(shape, 2), random_single(shape, 3), scalars},
                       3,
                       {0, 1}});
  for (const bool nesterov : {false, true})  // beside it the weights as the next step reads them
    sgd.push_back({fmt::format("sgd with a copy, nesterov {}", nesterov), OpKind::weight_update,
                   UpdateAttributes{.momentum = 0.9, .nesterov = nesterov, .decay = 1e-2},
                   {random_single({40000}, 1), random_single({40000}, 2), random_single({40000}, 3), scalars,
                    random_single({40000}, 4)}, 3, {0, 1, 4}});
  scalars.values<double>()[kUpdates] = 3;
  ParityFamily running;
  for (const Tensor& marks : {scalars, refused}) {
    const std::string name = marks.values<double>()[kApply] == 0 ? "refused" : "applied";
    sgd.push_back({"sgd " + name, OpKind::weight_update, UpdateAttributes{},
                   {random_single({33}, 1), random_single({33}, 2), random_single({33}, 3), marks}, 3, {0, 1}});
    running.push_back({"running " + name, OpKind::running_update, RunningAttributes{.factor = 0.1, .micro_batches = 8},
                       {random_single({33}, 1), random_single({33}, 2), marks}, 2, {0}});
  }
  return {sgd, running, guard_family(), rule_family(scalars), norm_family(scalars), average_family(scalars)};
}

}  // namespace convoy::test
