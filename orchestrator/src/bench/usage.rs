//! The processor time and the memory that a process uses.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::error::BenchError;

/// Ticks of `/proc/PID/stat` in a second: the same on every Linux.
const TICKS: u64 = 100;
/// Indexes of `utime` and `stime` among the fields of `/proc/PID/stat` after the name of the program.
const CPU_FIELDS: [usize; 2] = [11, 12];

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// Processor time, in user code and in the system.
    pub(super) cpu: Duration,
    /// Memory in use, in bytes; 0 where it was not asked for.
    pub(super) rss_bytes: u64,
}

impl Usage {
    /// Of this process.
    pub(super) fn own() -> Self {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = Duration::try_from(time).unwrap_or_default();
        Self { cpu, rss_bytes: 0 }
    }

    /// Of another process on this machine.
    pub(super) fn of_process(pid: u32) -> Result<Self, BenchError> {
        Self::read(pid).map_err(|source| BenchError::NoProcess { pid, source })
    }

    fn read(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let ticks = cpu_ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
        let rss_bytes = rss_bytes(&status).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { cpu: Duration::from_millis(ticks * 1000 / TICKS), rss_bytes })
    }

    /// The processor time that was used since then, with the memory in use now.
    pub(super) fn since(self, then: &Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(then.cpu), ..self }
    }
}

/// Reads `pid (name) state …`; the name may contain any character.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    CPU_FIELDS.iter().map(|field| fields.get(*field)?.parse::<u64>().ok()).sum()
}

fn rss_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_found_in_what_the_system_says() {
        let stat = "7 (a ) name) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 9 0 100 1 2";
        assert_eq!(cpu_ticks(stat), Some(200));
        assert_eq!(cpu_ticks("7 (short) S 1"), None);
        assert_eq!(rss_bytes("VmSize:\t 9 kB\nVmRSS:\t    12 kB\n"), Some(12_288));
    }
}
