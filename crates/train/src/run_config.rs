//! The `[run]` section of a config file.

use std::path::PathBuf;

use grulm_config::Invalid;
use grulm_kernels::Kernels;
use grulm_model::WeightFormat;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tch::Device;

/// `[run]`: where and on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// The run folder.
    pub dir: PathBuf,
    /// What all randomness of the run derives from.
    pub seed: u64,
    /// What computes: "auto" (the first CUDA device, else the CPU), "cpu", "cuda", "cuda:1".
    pub device: DeviceSetting,
    /// CPU threads; 0 means every core that this process may use.
    pub threads: usize,
    /// The implementation on a CPU: "auto" (the fastest for the processor), "portable", "libtorch".
    pub kernels: KernelsSetting,
    /// The format that the best model is saved in once more at the end, as the bundle `saved`: "fp16", "int8"; not with "fp32",
    /// which checkpoints are.
    pub save_as: WeightFormat,
    /// The least important messages that are shown: "error", "warn", "info", "debug", "trace".
    pub log: LogLevel,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            seed: 0,
            device: DeviceSetting::Auto,
            threads: 0,
            kernels: KernelsSetting::Auto,
            save_as: WeightFormat::Fp32,
            log: LogLevel::Info,
        }
    }
}

impl RunConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.dir.as_os_str().is_empty() {
            return Err(Invalid::new("run.dir", &self.dir, "a folder for the run's files"));
        }
        if self.threads > MOST_THREADS {
            return Err(Invalid::new("run.threads", self.threads, format!("0 (all cores) to {MOST_THREADS}")));
        }
        Ok(())
    }

    /// The device that `device` names.
    ///
    /// # Errors
    /// When it is not there.
    pub fn device(&self) -> Result<Device, Invalid> {
        let count = usize::try_from(tch::Cuda::device_count()).unwrap_or(0);
        self.device.resolve(if tch::Cuda::is_available() { count } else { 0 })
    }

    /// The number of CPU threads that `threads` means here.
    #[must_use]
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }
}

const MOST_THREADS: usize = 4096;

/// An implementation of the layers by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KernelsSetting {
    /// The fastest for the processor.
    Auto,
    /// Over libtorch's products.
    Portable,
    /// libtorch's own layers.
    Libtorch,
}

impl KernelsSetting {
    /// The one that is named.
    #[must_use]
    pub fn named(self) -> Option<Kernels> {
        match self {
            Self::Auto => None,
            Self::Portable => Some(Kernels::Portable),
            Self::Libtorch => Some(Kernels::Libtorch),
        }
    }
}

/// A device by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceSetting {
    /// The first CUDA device, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
}

impl DeviceSetting {
    fn resolve(self, cuda_devices: usize) -> Result<Device, Invalid> {
        match self {
            Self::Auto if cuda_devices > 0 => Ok(Device::Cuda(0)),
            Self::Auto | Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(index) if index < cuda_devices => Ok(Device::Cuda(index)),
            Self::Cuda(_) => {
                let allowed = match cuda_devices {
                    0 => "\"cpu\" or \"auto\": this libtorch sees no CUDA device".to_owned(),
                    1 => "\"cuda\", \"cuda:0\", \"cpu\" or \"auto\"".to_owned(),
                    _ => format!("\"cuda:0\" to \"cuda:{}\", \"cpu\" or \"auto\"", cuda_devices - 1),
                };
                Err(Invalid::new("run.device", self.to_string(), allowed))
            }
        }
    }
}

impl std::fmt::Display for DeviceSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl std::str::FromStr for DeviceSetting {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => name
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("{name:?} is no device; allowed: \"auto\", \"cpu\", \"cuda\", \"cuda:1\"")),
        }
    }
}

impl Serialize for DeviceSetting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What ends the run.
    Error,
    /// What may be wrong.
    Warn,
    /// What happens.
    Info,
    /// Details.
    Debug,
    /// Everything.
    Trace,
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_by_name() {
        let check = |name: &str, devices: usize, expect: Result<Device, &str>| {
            let config: Result<RunConfig, _> = toml::from_str(&format!("dir = \"r\"\ndevice = \"{name}\""));
            let found = match config {
                Ok(config) => config.device.resolve(devices).map_err(|e| e.to_string()),
                Err(e) => Err(e.to_string()),
            };
            match (found, expect) {
                (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{name}"),
                (Err(found), Err(expect)) => assert!(found.contains(expect), "{name}: {found}"),
                (found, expect) => panic!("{name}: {found:?}, expected {expect:?}"),
            }
        };
        check("auto", 0, Ok(Device::Cpu));
        check("auto", 2, Ok(Device::Cuda(0)));
        check("cpu", 2, Ok(Device::Cpu));
        check("cuda", 1, Ok(Device::Cuda(0)));
        check("cuda:1", 2, Ok(Device::Cuda(1)));
        check("cuda", 0, Err("no CUDA device"));
        check("cuda:2", 2, Err("\"cuda:0\" to \"cuda:1\""));
        check("cuda:", 2, Err("is no device"));
        check("cuda:-1", 2, Err("is no device"));
        check("gpu", 2, Err("is no device"));
    }

    #[test]
    fn settings_go_through_toml_and_back() {
        let config = RunConfig { dir: "runs/a".into(), device: DeviceSetting::Cuda(3), ..RunConfig::default() };
        assert_eq!(toml::from_str::<RunConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
    }

    #[test]
    fn a_run_needs_a_folder_and_a_sane_number_of_threads() {
        let check = |config: RunConfig, key: &str| assert_eq!(config.validate().unwrap_err().key, key);
        check(RunConfig::default(), "run.dir");
        check(RunConfig { dir: "r".into(), threads: 1 << 20, ..RunConfig::default() }, "run.threads");
        assert!(RunConfig { dir: "r".into(), ..RunConfig::default() }.threads() > 0);
    }
}
