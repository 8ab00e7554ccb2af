// What tch lacks, as plain C functions. Tensors cross as `at::Tensor*`, which is what `tch::Tensor::as_ptr` gives.
// No exception leaves this file: every function returns null, or a message that the caller frees with `grulm_free`.

#include "bridge.h"

#include <ATen/autocast_mode.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adamw.h>

#include <cstdlib>
#include <vector>

namespace {

std::vector<at::Tensor> gather(at::Tensor* const* tensors, size_t count) {
  std::vector<at::Tensor> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) out.push_back(*tensors[i]);
  return out;
}

}  // namespace

extern "C" {

void grulm_free(char* message) { std::free(message); }

// One AdamW update (Loshchilov and Hutter, arXiv 1711.05101) of all parameters. `steps` hold the number of the update,
// counted from one, as 0-dim f32 tensors. Gradients are divided by `grad_scale` (0-dim f32) first. Nothing changes where `found_inf` (0-dim f32) is 1.
char* grulm_fused_adamw(at::Tensor* const* params, at::Tensor* const* grads, at::Tensor* const* means,
                        at::Tensor* const* variances, at::Tensor* const* steps, size_t count, double learning_rate,
                        double beta1, double beta2, double weight_decay, double epsilon, at::Tensor* grad_scale,
                        at::Tensor* found_inf) {
  return grulm::guarded([&] {
    auto p = gather(params, count), g = gather(grads, count), m = gather(means, count), v = gather(variances, count);
    auto s = gather(steps, count);
    at::_fused_adamw_(p, g, m, v, /*max_exp_avg_sqs=*/{}, s, learning_rate, beta1, beta2, weight_decay, epsilon,
                      /*amsgrad=*/false, /*maximize=*/false, *grad_scale, *found_inf);
  });
}

// Switches bf16 autocast on or off for a kind of device on this thread, and drops the casts that it had cached.
char* grulm_autocast(bool cuda, bool enabled, bool* before) {
  return grulm::guarded([&] {
    const auto device = cuda ? at::kCUDA : at::kCPU;
    *before = at::autocast::is_autocast_enabled(device);
    at::autocast::set_autocast_dtype(device, at::kBFloat16);
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::set_autocast_cache_enabled(true);
    if (!enabled) at::autocast::clear_cache();
  });
}

}  // extern "C"
