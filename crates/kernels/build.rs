//! Compiles the bridge against the libtorch that torch-sys found.

use std::path::PathBuf;

#[path = "../../build/rpath.rs"]
mod rpath;

fn main() {
    // This crate's own tests and examples are executables that need libtorch, too.
    rpath::main();
    println!("cargo:rerun-if-changed=csrc");
    let Some(lib) = std::env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else {
        panic!("torch-sys did not say where libtorch is; run scripts/libtorch.sh, or set LIBTORCH");
    };
    let include = lib.parent().map(|root| root.join("include")).unwrap_or_default();
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .pic(true)
        .opt_level(3)
        .warnings(true)
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .flag("-isystem")
        .flag(&include)
        .flag("-isystem")
        .flag(include.join("torch/csrc/api/include"))
        .files(["csrc/bridge.cpp", "csrc/gru.cpp"])
        .compile("grulm_bridge");
    println!("cargo:rustc-link-search=native={}", lib.display());
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
}
