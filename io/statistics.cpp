#include "io/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/tensor/error.h"

namespace convoy {

ChannelStatistics::ChannelStatistics(DType dtype, std::int64_t channels)
    : dtype_(dtype), channels_(static_cast<std::size_t>(channels)) {
  if (dtype == DType::u8)
    bins_ = 256;
  else if (dtype == DType::u16)
    bins_ = 65536;
  else if (dtype != DType::f32)
    throw UsageError(fmt::format("images are stored as uint8, uint16 or float32, not as {}", name_of(dtype)));
  histogram_.resize(channels_ * bins_);
  floats_.resize(bins_ ? 0 : channels_);
}

bool ChannelStatistics::add(const std::byte* image, std::int64_t pixels) {
  if (dtype_ == DType::u8)
    count_values(reinterpret_cast<const std::uint8_t*>(image), pixels);
  else if (dtype_ == DType::u16)
    count_values(reinterpret_cast<const std::uint16_t*>(image), pixels);
  else
    return add_floats(reinterpret_cast<const float*>(image), pixels);
  return true;
}

template <typename T>
void ChannelStatistics::count_values(const T* values, std::int64_t pixels) {
  for (std::size_t channel = 0; channel < channels_; ++channel) {
    std::uint64_t* bins = histogram_.data() + channel * bins_;
    const T* value = values + channel;
    for (std::int64_t pixel = 0; pixel < pixels; ++pixel, value += channels_) ++bins[*value];
  }
}

bool ChannelStatistics::add_floats(const float* values, std::int64_t pixels) {
  for (std::int64_t pixel = 0; pixel < pixels; ++pixel)
    for (std::size_t channel = 0; channel < channels_; ++channel) {
      const double value = values[static_cast<std::size_t>(pixel) * channels_ + channel];
      if (!std::isfinite(value)) return false;
      Moments& m = floats_[channel];
      if (m.count++ == 0) m.first = m.minimum = m.maximum = value;
      m.sum += value - m.first;
      m.sum_of_squares += (value - m.first) * (value - m.first);
      m.minimum = std::min(m.minimum, value);
      m.maximum = std::max(m.maximum, value);
    }
  return true;
}

std::vector<ChannelStatistics::Moments> ChannelStatistics::moments() const {
  if (bins_ == 0) return floats_;
  std::vector<Moments> all(channels_);
  for (std::size_t channel = 0; channel < channels_; ++channel) {
    Moments& m = all[channel];
    unsigned __int128 sum = 0, squares = 0;
    for (std::size_t value = 0; value < bins_; ++value) {
      const std::uint64_t count = histogram_[channel * bins_ + value];
      if (count == 0) continue;
      if (m.count == 0) m.minimum = static_cast<double>(value);
      m.maximum = static_cast<double>(value);
      m.count += static_cast<std::int64_t>(count);
      sum += static_cast<unsigned __int128>(count) * value;
      squares += static_cast<unsigned __int128>(count) * (value * value);
    }
    m.sum = static_cast<double>(sum);
    m.sum_of_squares = static_cast<double>(squares);
  }
  return all;
}

std::vector<double> ChannelStatistics::mean() const {
  std::vector<double> result;
  for (const Moments& m : moments()) result.push_back(m.count ? m.first + m.sum / static_cast<double>(m.count) : 0.0);
  return result;
}

std::vector<double> ChannelStatistics::deviation() const {
  std::vector<double> result;
  for (const Moments& m : moments()) {
    const double n = static_cast<double>(std::max<std::int64_t>(m.count, 1));
    const double shifted_mean = m.sum / n;
    result.push_back(std::sqrt(std::max(0.0, m.sum_of_squares / n - shifted_mean * shifted_mean)));
  }
  return result;
}

std::vector<double> ChannelStatistics::minimum() const {
  std::vector<double> result;
  for (const Moments& m : moments()) result.push_back(m.minimum);
  return result;
}

std::vector<double> ChannelStatistics::maximum() const {
  std::vector<double> result;
  for (const Moments& m : moments()) result.push_back(m.maximum);
  return result;
}

}  // namespace convoy
