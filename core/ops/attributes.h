#pragma once
// What distinguishes one op of a kind from another: kernel sizes, rates, ... Plain data with defaults, one aggregate
// per op family; the family's file (conv.cpp, pool.cpp, ...) has the functions that infer, cost and differentiate.
//
// Notation: n samples of the micro-batch; s1..sk spatial extents, k = 1 to 3; c, o channels. Arrays per axis hold
// the k spatial axes in their order and ignore the rest.
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace convoy {

using PerAxis = std::array<std::int64_t, 3>;

/// What stands outside the border of a padded input.
enum class PadMode {
  zero,
  reflect,    // mirror, edge pixel not repeated: c b | a b c     (needs pad <= extent - 1)
  symmetric,  // mirror, edge pixel repeated:     b a | a b c     (needs pad <= extent)
  replicate   // the edge pixel
};

enum class ActivationKind {
  none,
  relu,
  tanh,
  sigmoid,
  scaled_tanh,    // 1.7159 tanh(2 x / 3)
  leaky_relu,     // x, or slope x below 0 (Maas et al. 2013)
  elu,            // x, or slope (exp(x) - 1) below 0 (Clevert et al. 2016)
  negative_part,  // min(x, 0): PReLU is relu(x) + a min(x, 0)
  complement,     // 1 - x: the carry gate of a highway layer
  scale,          // slope x
  count_
};
inline constexpr int kActivationKinds = static_cast<int>(ActivationKind::count_);

/// images [n, s1..sk, c] as stored, transforms i32 [n, 4] -> [n, size1..sizek, c].
/// A row of transforms is {offset1, offset2, offset3, flips}: the crop starts at the offset (negative: in the
/// padding), then bit a of flips mirrors axis a of the crop. Output = (stored value - mean[c]) / deviation[c].
struct PrepareAttributes {
  int axes = 2;
  PerAxis size{};                  // extents of the crop
  double pad_value = 0;            // stored value outside the image
  std::vector<double> mean;        // per channel, in stored units
  std::vector<double> deviation;   // per channel, in stored units
  DType output = DType::f32;
  bool operator==(const PrepareAttributes&) const = default;
};

/// Cross-correlation (no kernel flip). x [n, s.., c], filters [o, k.., c / groups], bias [o] or absent -> [n, t.., o]
/// with t = floor((s + pad_low + pad_high - dilation (kernel - 1) - 1) / stride) + 1.
/// `activation` is set by the fuse pass (none or relu): y = activation(conv + bias).
struct ConvAttributes {
  int axes = 2;
  std::int64_t channels = 0;       // o
  PerAxis kernel{1, 1, 1};
  PerAxis stride{1, 1, 1};
  PerAxis dilation{1, 1, 1};
  std::int64_t groups = 1;
  PadMode pad_mode = PadMode::zero;
  PerAxis pad_low{};
  PerAxis pad_high{};
  bool bias = true;
  ActivationKind activation = ActivationKind::none;
  bool operator==(const ConvAttributes&) const = default;
};

/// Gradients of a convolution. conv_backward_data: dy, filters -> dx of shape `input`.
/// conv_backward_filters: x, dy -> dfilters [, dbias].
struct ConvBackwardAttributes {
  ConvAttributes conv;
  Shape input;                     // shape of x
  bool operator==(const ConvBackwardAttributes&) const = default;
};

/// x [n, f], weights [units, f], bias [units] or absent -> [n, units].
/// Gradients: dense_backward_data: dy, weights -> dx. dense_backward_weights: x, dy -> dweights [, dbias].
struct DenseAttributes {
  std::int64_t units = 0;
  bool bias = true;
  ActivationKind activation = ActivationKind::none;  // set by the fuse pass
  bool operator==(const DenseAttributes&) const = default;
};

enum class PoolKind { max, min, average };

/// x [n, s.., c] -> y [n, t.., c]; for max and min also `winner` [n, t.., c], the position in the window (scan order,
/// first on ties) of the chosen element: u8 where the window has at most 256 positions, else i32.
/// Padding must be below the kernel and never wins a max or min; an average divides by the positions inside the
/// image, or with `count_padding` by all inside image and padding. floor sizes, or with `ceil` rounded up, less one if
/// the last window would start beyond the image and its low padding (Caffe's rule).
/// Gradients: pool_backward: dy [, winner] -> dx of shape `input`.
struct PoolAttributes {
  PoolKind kind = PoolKind::max;
  int axes = 2;
  bool global = false;             // the window is the whole image; kernel, stride, padding unused
  PerAxis kernel{1, 1, 1};
  PerAxis stride{1, 1, 1};
  PerAxis pad_low{};
  PerAxis pad_high{};
  bool ceil = false;
  bool count_padding = false;
  Shape input;                     // pool_backward only: shape of x
  bool operator==(const PoolAttributes&) const = default;
};

/// x -> y, element by element. activation_backward: y, dy -> dx (all have a derivative in terms of y).
struct ActivationAttributes {
  ActivationKind kind = ActivationKind::relu;
  double slope = 0;                // leaky_relu: above 0; elu: above 0; scale: any
  bool operator==(const ActivationAttributes&) const = default;
};

/// Ioffe & Szegedy 2015, algorithm 1, per channel over all other axes; m = n s1 .. sk.
/// batch_norm: x, gamma [c], beta [c] [, residual] -> y, mean [c], inverse_deviation [c] = 1/sqrt(biased variance + epsilon),
///   variance [c] (unbiased: / (m - 1); biased if m = 1). residual is added before the activation.
/// batch_norm_inference: x, gamma, beta, running mean, running variance [, residual] -> y.
/// batch_norm_backward: x, gamma, mean, inverse_deviation, dy [, y if activation] -> dx, dgamma, dbeta [, dresidual: dy
///   masked by the activation].
struct BatchNormAttributes {
  double epsilon = 1e-5;
  ActivationKind activation = ActivationKind::none;  // relu set by the fuse pass
  bool residual = false;                             // set by the fuse pass
  bool operator==(const BatchNormAttributes&) const = default;
};

/// The same over the whole batch, which `micro_batches` micro-batches of m elements a channel make up; M is their product.
/// Sums go through batch_sum, once forward and once backward:
/// batch_norm_moments: x, running mean k -> [2 c]: mean - k, then biased variance + (mean - k)^2 of this micro-batch.
/// batch_norm_global: x, gamma, beta, running mean k, the sums of those -> y, mean [c], inverse_deviation [c], variance [c]
///   (unbiased: / (M - 1)), all over the batch. k is as good as any number for the mathematics, and keeps the difference of
///   squares from cancelling.
/// batch_norm_global_sums: x, mean, inverse_deviation, dy -> [2 c]: this micro-batch's dgamma, then its dbeta.
/// batch_norm_global_backward: x, gamma, mean, inverse_deviation, the sums of those, dy -> dx.
struct GlobalBatchNormAttributes {
  double epsilon = 1e-5;
  std::int64_t micro_batches = 1;
  ActivationKind activation = ActivationKind::none;  // of batch_norm_global; relu set by the fuse pass
  bool operator==(const GlobalBatchNormAttributes&) const = default;
};

/// x -> the sum of x over all micro-batches of the batch, through the reduction tree: micro-batches wait for each other here.
/// Whoever runs the program computes it (Program::set_batch_sum).
struct BatchSumAttributes {
  int index = 0;                   // in the order of the program
  bool operator==(const BatchSumAttributes&) const = default;
};

/// x, keys u64 [n, 2] = (epoch, sample id) -> y: element e of a sample is kept and divided by 1 - rate when
/// RandomKey(seed, "dropout").child(name_key(name)).child(epoch).child(id).word(e) >= floor(rate * 2^32), else 0.
/// Its gradient is the same op applied to dy.
struct DropoutAttributes {
  double rate = 0.5;               // share of elements dropped, [0, 1)
  std::uint64_t seed = 0;
  std::string name;                // the layer's name: what tells two dropout layers apart
  bool operator==(const DropoutAttributes&) const = default;
};

/// Local response normalisation (Krizhevsky et al. 2012, section 3.3) over `size` (odd) neighbouring channels j of channel i,
/// cut off at the first and the last: s_i = k + alpha sum of x_j^2; y_i = x_i s_i^-beta.
/// local_response: x [.., c] -> y. local_response_backward: x, dy -> dx.
struct LocalResponseAttributes {
  std::int64_t size = 5;
  double alpha = 1e-4;             // of the plain sum; libraries that divide it by `size` are given alpha size
  double beta = 0.75;
  double k = 2;
  bool operator==(const LocalResponseAttributes&) const = default;
};

/// Layer normalisation (Ba et al. 2016) of rows of the last axis, without gain and bias:
/// layer_norm: x [.., c] -> y = (x - mean) d, d [..] = 1 / sqrt(biased variance + epsilon), mean and variance of the row.
/// layer_norm_backward: y, d, dy -> dx = d (dy - mean(dy) - y mean(dy y)).
struct LayerNormAttributes {
  double epsilon = 1e-5;
  bool operator==(const LayerNormAttributes&) const = default;
};

/// x [n, s1..sk, c] -> [n, size1..sizek, c], each axis on its own. With s the extent read, t the extent made, position o reads
/// nearest: floor(o s / t).   linear: between the neighbours of (o + 1/2) s / t - 1/2, clamped to the image (pixels have their
/// centres at halves).
/// resample_backward: dy -> dx of shape `input`.
struct ResampleAttributes {
  int axes = 2;
  bool linear = false;
  PerAxis size{1, 1, 1};
  Shape input;                     // resample_backward only: shape of x
  bool operator==(const ResampleAttributes&) const = default;
};

/// Which of the paths that meet in a join are taken, by each sample on its own, and their weights: keys u64 [n, 2] = (epoch,
/// sample id) -> `paths` outputs [n]. With key K = RandomKey(seed, "dropout").child(name_key(name)).child(epoch).child(id), path
/// i is dropped if K.word(i) < floor(rate * 2^32).
/// One path (Huang et al. 2016, "Deep Networks with Stochastic Depth"): its weight is 1, or 0 if dropped.
/// More (Larsson et al. 2017, "FractalNet", section 3; `keeps_one`): the weights of those kept are one over their number; where
/// all would be dropped, path K.word(paths) modulo their number is kept. A share `global` of samples, those whose word(0) of the
/// key with `network` in the place of `name` is below floor(global * 2^32), takes one column through the whole network, word(1)
/// modulo `columns`: path i belongs to column i, and joins in which that column does not end take all their paths.
struct PathsAttributes {
  int paths = 1;
  double rate = 0;                 // [0, 1)
  bool keeps_one = false;
  double global = 0;               // [0, 1]
  int columns = 1;
  std::uint64_t seed = 0;
  std::string name;                // of the join
  std::string network;             // what all joins of a network share
  DType real = DType::f32;         // of the weights
  bool operator==(const PathsAttributes&) const = default;
};

/// slice: channels [begin, begin + count) of x. pad_channels: `begin` zero channels before x, zeros after it up to
/// `count` in all. Each is the other's gradient; slices also undo concat (last axis).
struct ChannelsAttributes {
  std::int64_t begin = 0;
  std::int64_t count = 0;
  bool operator==(const ChannelsAttributes&) const = default;
};

/// The same elements in order under another shape; costs nothing (a view).
struct ReshapeAttributes {
  Shape shape;
  bool operator==(const ReshapeAttributes&) const = default;
};

/// Losses, per sample i with weight w_i; loss = scale * sum over samples of w_i * l_i.
/// softmax_cross_entropy: logits [n, .., k], labels i32 [n, ..], weights [n] -> loss [1], probabilities, l [n]
///   l_i = the mean over positions of -sum over j of t_j log p_j, with t = 1 - smoothing for the label and smoothing / k more
///   for every class (Szegedy et al. 2016, section 7).
/// mean_squared: prediction, target (same shape), weights [n] -> loss [1], l [n]; l_i = mean of (y - t)^2.
/// binary_cross_entropy: logits, target in [0,1], weights -> loss [1], probabilities, l [n];
///   l_i = mean of max(a,0) - a t + log(1 + exp(-|a|)).
/// A label outside [0, k) is a DataError that names the sample. A loss is where differentiation begins: its gradient
/// rule takes d loss / d loss = 1; outputs other than the loss cannot be differentiated.
/// *_backward: (softmax, binary: probabilities; squared: prediction), labels or target, weights [, loss scale [1]] ->
///   gradient of loss, with a loss scale s: float(s * scale * w_i * ..) in place of float(scale * w_i * ..).
/// Losses and what is counted beside them are never computed in a narrow type.
struct LossAttributes {
  double scale = 1;
  double smoothing = 0;            // softmax_cross_entropy and its gradient alone; [0, 1)
  bool operator==(const LossAttributes&) const = default;
};

/// logits [n, k], labels i32 [n], weights [n] -> [1]: sum of w_i over samples whose label is among the k largest
/// logits (ties: the lower class index is larger; a label whose logit is not a number never counts).
struct TopKAttributes {
  std::int64_t k = 1;
  bool operator==(const TopKAttributes&) const = default;
};

/// LeNet-5's C3 (LeCun et al. 1998, table I): compact filters [links, k..], one per (output map, input map) pair ->
/// filters [o, k.., c] with zeros where no link is. gather_connections is its gradient.
struct ConnectionsAttributes {
  std::int64_t outputs = 0;        // o
  std::int64_t inputs = 0;         // c
  std::vector<std::pair<int, int>> links;  // (output map, input map), in the order of the compact filters
  bool operator==(const ConnectionsAttributes&) const = default;
};

/// A callback ordered with the kernels around it: runs after the ops that produce its inputs. No outputs.
struct ExternalAttributes {
  std::string name;                // "bucket_ready", "finish_reduction"
  int index = 0;                   // which bucket
  bool operator==(const ExternalAttributes&) const = default;
};

/// x of any real type -> the same values rounded to `to`. Its gradient casts back.
struct CastAttributes {
  DType to = DType::f32;
  bool operator==(const CastAttributes&) const = default;
};

/// Decides, on the reduced values, whether a step's updates happen (StepScalar in optim/scalars.h):
///   divisor = weight loss scale;  finite = all buckets are;  apply = finite and wanted and not halted
/// and with `scaling` (Micikevicius et al. 2018, section 3.2), unless halted or unwanted, what the next loss scale is: half
/// of it (at least 1) after a step that is not finite; twice (at most `most`) after `growth_every` finite ones in a row.
/// With `halts`, a step that is not finite (under `scaling`: at loss scale 1) sets halted.
/// step_guard: weight [1], scalars f64 [kStepScalars], buckets [..] one or more -> nothing; changes scalars.
struct GuardAttributes {
  bool scaling = false;
  double most = 16777216;
  std::int64_t growth_every = 2000;
  bool halts = false;
  bool operator==(const GuardAttributes&) const = default;
};

/// The rule of an update, with its slots in the order of the operands; all begin as zeros.
enum class Optimizer {
  sgd,      // v
  rmsprop,  // s, v
  adam,     // m, s
  adagrad,  // s
  lars      // v
};

/// One parameter's update, only where the scalars say apply: t is their count of updates, this one included; rate their
/// learning rate times rate_factor. With clip_value, each element of gradient / divisor is first brought within +-clip_value;
/// then g = gradient / divisor + decay w, or without `+ decay w` where the decay is decoupled.
///   sgd (library form): v = momentum v + g;  w -= rate v, or with nesterov rate (g + momentum v)
///   rmsprop (Tieleman & Hinton 2012, lecture 6.5; as TensorFlow has it, with which Szegedy et al. 2016 trained Inception v3:
///     epsilon under the root, the rate inside the momentum):
///     s = rho s + (1 - rho) g^2;  v = momentum v + rate g / sqrt(s + epsilon);  w -= v
///   adam (Kingma & Ba 2015, algorithm 1): m = beta1 m + (1 - beta1) g;  s = beta2 s + (1 - beta2) g^2;
///     w -= rate m / (1 - beta1^t) / (sqrt(s / (1 - beta2^t)) + epsilon)
///     decoupled ("AdamW", Loshchilov & Hutter 2019, algorithm 2, with the rate in front of the decay as libraries have it):
///     before that, w -= rate decay w
///   adagrad (Duchi et al. 2011; Downpour's, Dean et al. 2012, section 4.1): s = s + g^2;  w -= rate g / (sqrt(s) + epsilon)
///   lars (You et al. 2017, algorithm 1): v = momentum v + rate q g;  w -= v, with the trust ratio
///     q = trust |w| / (|gradient / divisor| + decay |w|); 1 without norms or where either norm is 0
/// weight_update: w, slots, gradient, scalars f64 [kStepScalars] [, norms f64 [n]: squares] [, copy: w as bf16 or f16] ->
///   nothing; changes w, slots and copy. update_operands.h says which operand is where.
struct UpdateAttributes {
  Optimizer rule = Optimizer::sgd;
  double momentum = 0.9;           // sgd, rmsprop, lars
  bool nesterov = false;           // sgd
  double decay = 0;                // lambda of this parameter (0 for biases and norms by default)
  bool decoupled = false;          // adam
  double rate_factor = 1;          // of this parameter
  double beta1 = 0.9, beta2 = 0.999;  // adam
  double rho = 0.9;                // rmsprop
  double epsilon = 1e-8;           // rmsprop, adam, adagrad
  double trust = 0.001;            // lars
  double clip_value = 0;           // 0: none
  int gradient_norm = -1, weight_norm = -1;  // lars: places in norms; -1: no norms, and so trust ratio 1
  bool operator==(const UpdateAttributes&) const = default;
};

/// Norms of tensors: for each the sum of squares, by blocks of 1,024 elements and then the fixed tree (design: section 4).
/// squared_norms: one tensor or more -> f64 [tensors].

/// Gradients are clipped together to the norm `limit` (Pascanu et al. 2013, algorithm 1): where the root of the sum of the
/// first `tensors` norms, divided by the divisor, is above it, the divisor grows to bring it there.
/// clip_norm: norms f64 [n], scalars f64 [kStepScalars] -> nothing; changes scalars.
struct ClipAttributes {
  double limit = 1;
  std::int64_t tensors = 1;
  bool operator==(const ClipAttributes&) const = default;
};

/// average = (1 - share) average + share value, only where the scalars say apply. With t the count of updates, this one included:
///   decay = 0 (Polyak & Juditsky 1992): share = 1 / (t - from), the mean of the values after update `from`; 1 until then
///   else: share = 1 - min(decay, (1 + t) / (10 + t)), TensorFlow's exponential moving average with its short memory at first
/// average_update: average, value, scalars f64 [kStepScalars] -> nothing; changes average.
struct AverageAttributes {
  double decay = 0;
  std::int64_t from = 0;           // updates that do not count
  bool operator==(const AverageAttributes&) const = default;
};

/// running = (1 - factor) running + factor * (tree sum of the micro-batches' statistic) / micro_batches. Only where the
/// scalars say apply.
/// running_update: running, sum, scalars f64 [kStepScalars] -> nothing; changes running.
struct RunningAttributes {
  double factor = 0.1;
  std::int64_t micro_batches = 1;
  bool operator==(const RunningAttributes&) const = default;
};

/// Element-wise ops on values of one shape as one op, which reads and writes every element once; made by the fuse pass.
/// Registers are the inputs, then the result of each step in turn; a step works in f32 (f64) on earlier registers a and b and
/// rounds its result to `type`, as the op that it stands for does. Functions are named after their ops: *_backward takes
/// y, dy; *_channels takes for b an input [c]; a sum of many terms is several steps, of which the last alone rounds.
/// elementwise_chain: inputs -> the results of the steps that `outputs` lists.
struct ChainStep {
  enum class Function { activation, activation_backward, add, multiply, add_channels, multiply_channels, cast };
  Function function = Function::add;
  ActivationAttributes activation{};  // of the first two functions
  int a = 0, b = 0;                   // b: of functions of two values
  DType type = DType::f32;
  bool operator==(const ChainStep&) const = default;
};
struct ChainAttributes {
  std::vector<ChainStep> steps;
  std::vector<int> outputs;
  bool operator==(const ChainAttributes&) const = default;
};

using Attributes =
    std::variant<std::monostate, PrepareAttributes, ConvAttributes, ConvBackwardAttributes, DenseAttributes,
                 PoolAttributes, ActivationAttributes, BatchNormAttributes, DropoutAttributes, ChannelsAttributes,
                 ReshapeAttributes, LossAttributes, TopKAttributes, ConnectionsAttributes, ExternalAttributes,
                 UpdateAttributes, RunningAttributes, CastAttributes, GuardAttributes, GlobalBatchNormAttributes,
                 BatchSumAttributes, ClipAttributes, AverageAttributes, ChainAttributes, LocalResponseAttributes, LayerNormAttributes, ResampleAttributes,
                 PathsAttributes>;

}  // namespace convoy
