//! Memory: what this process takes, and what there is.

/// Resident memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resident {
    /// Now.
    pub now: u64,
    /// At its highest.
    pub peak: u64,
}

impl Resident {
    /// That of this process, where the system tells.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        Some(Self { now: bytes(&status, "VmRSS:")?, peak: bytes(&status, "VmHWM:")? })
    }
}

/// Memory of this machine in bytes, where the system tells.
#[must_use]
pub fn installed_memory() -> Option<u64> {
    bytes(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// What a line of `/proc` says of `key`.
fn bytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_known_on_linux() {
        if cfg!(target_os = "linux") {
            let Resident { now, peak } = Resident::of_this_process().unwrap();
            assert!(now > 1 << 20 && peak >= now / 100 * 99, "{now} {peak}");
            assert!(installed_memory().unwrap() > now);
        }
    }
}
