//! Metrics of the process: processor time, memory, files. Their names are those that Prometheus clients agree on.

use std::fs;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::registry::Registry;

const KIBIBYTE: i64 = 1024;

/// Measures the process. Metrics that the system does not provide (it has no `/proc`) are left out.
pub(super) fn measure(registry: &Registry, started_at: DateTime<Utc>) {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = Duration::try_from(cpu).unwrap_or_default().as_secs_f64();
    registry
        .seconds_counter("process_cpu_seconds_total", "Processor time of the process, user and system.")
        .inc_by(seconds);
    let started = registry.seconds_gauge("process_start_time_seconds", "When it began, in Unix time.");
    started.set((started_at - DateTime::UNIX_EPOCH).as_seconds_f64());
    if let Some(limit) = getrlimit(Resource::Nofile).current.and_then(|limit| i64::try_from(limit).ok()) {
        registry.gauge("process_max_fds", "Files that it may have open.").set(limit);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        let open = i64::try_from(open.count()).unwrap_or(i64::MAX);
        registry.gauge("process_open_fds", "Files and connections that it has open.").set(open);
    }
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return };
    for (field, unit, name, help) in [
        ("VmRSS:", KIBIBYTE, "process_resident_memory_bytes", "Memory that it has in use."),
        ("VmSize:", KIBIBYTE, "process_virtual_memory_bytes", "Addresses that it has in use."),
        ("Threads:", 1, "process_threads", "Its threads."),
    ] {
        if let Some(value) = field_of(&status, field) {
            registry.gauge(name, help).set(value.saturating_mul(unit));
        }
    }
}

/// The number in a line such as `VmRSS:    1234 kB`.
fn field_of(status: &str, field: &str) -> Option<i64> {
    status.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_status_is_its_number() {
        let status = "Name:\trivet\nVmRSS:\t    1234 kB\nThreads:\t7\n";
        assert_eq!(field_of(status, "VmRSS:"), Some(1234));
        assert_eq!(field_of(status, "Threads:"), Some(7));
        assert_eq!(field_of(status, "VmSize:"), None);
    }
}
