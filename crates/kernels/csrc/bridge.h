// What the files of the bridge share.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <cstring>
#include <exception>

namespace grulm {

// Runs `body`; null, or the message of what it threw. No exception may leave an `extern "C"` function.
template <typename F>
char* guarded(F&& body) {
  try {
    body();
    return nullptr;
  } catch (const c10::Error& e) {
    return strdup(e.what_without_backtrace());
  } catch (const std::exception& e) {
    return strdup(e.what());
  } catch (...) {
    return strdup("an exception of unknown type");
  }
}

// The layer of gru.cpp, whose outputs become new tensors.
void portable_gru(const at::Tensor& x, const at::Tensor& h0, const at::Tensor& w_ih, const at::Tensor& w_hh,
                  const at::Tensor& b_ih, const at::Tensor& b_hh, bool bf16, at::Tensor** y, at::Tensor** last);

}  // namespace grulm
