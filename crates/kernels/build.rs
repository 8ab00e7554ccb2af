//! Compiles the bridge against the libtorch that torch-sys found.

use std::path::{Path, PathBuf};

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
    find_in_doc_tests(&lib);
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
}

/// Lets doc tests, which cargo links without a build script's arguments, find libtorch: the folders that a build script
/// searches are on the library path of what cargo runs where they lie in cargo's own target folder, so a link there does.
fn find_in_doc_tests(lib: &Path) {
    #[cfg(unix)]
    if let Some(out) = std::env::var_os("OUT_DIR").map(PathBuf::from) {
        let link = out.join("libtorch");
        let _ = std::fs::remove_file(&link);
        if let Err(error) = std::os::unix::fs::symlink(lib, &link) {
            println!("cargo:warning=doc tests need LD_LIBRARY_PATH={}: {error}", lib.display());
        }
        println!("cargo:rustc-link-search=native={}", link.display());
    }
    #[cfg(not(unix))]
    let _ = lib;
}
