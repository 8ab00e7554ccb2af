//! The build script of every package with a binary, test, benchmark or example that uses libtorch: tells the linker to write
//! libtorch's folder into the executables, so that they find it without LD_LIBRARY_PATH and from any working folder.
//!
//! `cargo:rustc-link-arg` reaches the package's own targets only, so each such package names this file as its `build` and
//! depends on torch-sys directly, which is what makes cargo pass `DEP_TCH_LIBTORCH_LIB`. A rpath in rustflags would be
//! simpler, but wrong for whoever sets LIBTORCH or LIBTORCH_USE_PYTORCH. A package with a build script of its own declares
//! this file as a module there and calls its `main`.

// Clippy knows that build scripts speak to cargo on stdout only by the name build.rs.
#![allow(clippy::print_stdout)]

use std::env;
use std::path::Path;
use std::process::exit;

pub(crate) fn main() {
    // torch-sys itself watches the variables that choose a libtorch; cargo runs this again when torch-sys' answer changes.
    let Ok(lib) = env::var("DEP_TCH_LIBTORCH_LIB") else {
        eprintln!("this package uses build/rpath.rs, so torch-sys must stand in its [dependencies]");
        exit(1);
    };
    println!("cargo:rerun-if-changed={lib}");

    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        // RPATH, not RUNPATH: it also holds for the libraries that libtorch itself loads.
        Ok("linux") => link_arg(&format!("-Wl,--disable-new-dtags,-rpath,{lib}")),
        Ok("macos") => link_arg(&format!("-Wl,-rpath,{lib}")),
        _ => {}
    }

    // Nothing refers to a symbol of libtorch_cuda, which registers its operators when it is loaded. The linker would drop
    // it, and with it CUDA, without a word.
    if Path::new(&lib).join("libtorch_cuda.so").exists() {
        for arg in ["-Wl,--no-as-needed", "-ltorch_cuda", "-Wl,--as-needed"] {
            link_arg(arg);
        }
    }
}

/// Adds an argument for the linker to each of the package's executables.
fn link_arg(arg: &str) {
    println!("cargo:rustc-link-arg={arg}");
}
