//! What computes: devices and threads.

use std::path::PathBuf;

use anyhow::Context as _;
use grulm_config::Invalid;
use grulm_tasks::bundle::locate;
use grulm_train::RunConfig;
use tch::Device;

use crate::{args::ModelArgs, exit::Usage};

/// Finds the device and sets the number of threads, for the whole process.
///
/// # Errors
/// When the device is not there.
pub fn set_up(run: &RunConfig) -> anyhow::Result<Device> {
    let device = run.device()?;
    let threads = run.threads();
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    tch::set_num_interop_threads(1);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("threads")?;
    Ok(device)
}

/// Finds the bundle folder that a command line names, and [sets up](set_up) the device and the threads that it asks for.
///
/// # Errors
/// When there is no model at that place, or the device is not there.
pub fn find_model(args: &ModelArgs) -> anyhow::Result<(PathBuf, Device)> {
    // Checked first: a folder that is no model should not cost the start of a device.
    let folder = locate(&args.model).map_err(|error| Usage(error.to_string()))?;
    let run = RunConfig { dir: folder.clone(), device: args.device, threads: args.threads, ..RunConfig::default() };
    run.validate().map_err(|invalid| option(invalid, "--threads"))?;
    let device = set_up(&run).map_err(|error| match error.downcast::<Invalid>() {
        Ok(invalid) => option(invalid, "--device").into(),
        Err(error) => error,
    })?;
    Ok((folder, device))
}

/// The same, as said of an option.
fn option(invalid: Invalid, name: &str) -> Invalid {
    Invalid { key: name.to_owned(), ..invalid }
}

/// The device as configs name it.
#[must_use]
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}
