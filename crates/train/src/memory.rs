//! What this process takes.

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
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
        };
        Some(Self { now: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_known_on_linux() {
        if cfg!(target_os = "linux") {
            let Resident { now, peak } = Resident::of_this_process().unwrap();
            assert!(now > 1 << 20 && peak >= now / 100 * 99, "{now} {peak}");
        }
    }
}
