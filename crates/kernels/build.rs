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
        // Without it, `at::parallel_for` is compiled to a loop.
        .flag_if_supported("-fopenmp")
        .warnings(true)
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .flag("-isystem")
        .flag(&include)
        .flag("-isystem")
        .flag(include.join("torch/csrc/api/include"))
        .files(["csrc/bridge.cpp", "csrc/gru.cpp", "csrc/native.cpp"])
        .compile("grulm_bridge");
    println!("cargo:rustc-link-search=native={}", lib.display());
    link_openmp(&lib);
    find_in_doc_tests(&lib);
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
}

/// Links the OpenMP library that libtorch itself loads, whatever its wheel calls it: with another one, this crate's threads
/// would not be libtorch's.
fn link_openmp(lib: &Path) {
    let files = std::fs::read_dir(lib).into_iter().flatten().flatten();
    let is_gomp = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libgomp"));
    #[cfg(unix)]
    if let (Some(gomp), Some(out)) = (files.map(|file| file.path()).find(is_gomp), std::env::var_os("OUT_DIR")) {
        let folder = PathBuf::from(out).join("openmp");
        let link = folder.join("libgomp.so");
        let _ = std::fs::remove_file(&link);
        let made = std::fs::create_dir_all(&folder).and_then(|()| std::os::unix::fs::symlink(&gomp, &link));
        match made {
            Ok(()) => println!("cargo:rustc-link-search=native={}", folder.display()),
            Err(error) => println!("cargo:warning=the system's OpenMP is linked, not {}: {error}", gomp.display()),
        }
    }
    println!("cargo:rustc-link-lib=gomp");
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
