//! What Linux counts about this process, under the names that Prometheus' own clients give it. Elsewhere there is nothing:
//! no number rather than a wrong one.

use std::{fs, io};

use prometheus::{
    Counter, Gauge, IntGauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Ticks a second in /proc, whatever the kernel counts in itself.
const TICKS: f64 = 100.0;

/// Looks when it is asked.
pub(super) struct Process {
    cpu: Counter,
    resident: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
    start: Gauge,
}

impl Process {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let this = Self {
            cpu: Counter::new("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")?,
            resident: IntGauge::new("process_resident_memory_bytes", "Resident memory size in bytes.")?,
            open_fds: IntGauge::new("process_open_fds", "Number of open file descriptors.")?,
            max_fds: IntGauge::new("process_max_fds", "Maximum number of open file descriptors.")?,
            threads: IntGauge::new("process_threads", "Number of OS threads in the process.")?,
            start: Gauge::new("process_start_time_seconds", "Start time of the process since unix epoch in seconds.")?,
        };
        // Its own first number: later ones never change it, and the file is long on large machines.
        if let (Some(boot), Some(seen)) = (boot(), Seen::now()) {
            this.start.set(boot + seen.started);
        }
        Ok(this)
    }

    fn all(&self) -> [&dyn Collector; 6] {
        [&self.cpu, &self.resident, &self.open_fds, &self.max_fds, &self.threads, &self.start]
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(seen) = Seen::now() else { return Vec::new() };
        // Whoever looks at the same time may have added it already.
        self.cpu.inc_by((seen.cpu - self.cpu.get()).max(0.0));
        self.resident.set(seen.resident);
        self.open_fds.set(seen.open_fds);
        self.max_fds.set(seen.max_fds);
        self.threads.set(seen.threads);
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

/// The process as it is.
struct Seen {
    /// Seconds.
    cpu: f64,
    /// Bytes.
    resident: i64,
    open_fds: i64,
    max_fds: i64,
    threads: i64,
    /// Seconds after the machine.
    started: f64,
}

impl Seen {
    fn now() -> Option<Self> {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}"));
        // Reading the list takes one itself.
        let open = fs::read_dir("/proc/self/fd").map(|open| open.count().saturating_sub(1));
        Self::read(&read("stat").ok()?, &read("status").ok()?, &read("limits").ok()?, open)
    }

    fn read(stat: &str, status: &str, limits: &str, open: io::Result<usize>) -> Option<Self> {
        // The name in brackets may hold anything; what follows begins with the third field.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        let number = |text: &str, label: &str| {
            text.lines().find_map(|line| line.strip_prefix(label)?.split_whitespace().next()?.parse::<i64>().ok())
        };
        Some(Self {
            cpu: (ticks(14)? + ticks(15)?) / TICKS,
            resident: number(status, "VmRSS:")? * 1024,
            open_fds: i64::try_from(open.ok()?).ok()?,
            max_fds: open_files(limits).and_then(|most| i64::try_from(most).ok()).unwrap_or(i64::MAX),
            threads: number(status, "Threads:")?,
            started: ticks(22)? / TICKS,
        })
    }
}

/// How many files this process may have open; none where there is no limit, or nobody tells.
pub fn most_open_files() -> Option<usize> {
    open_files(&fs::read_to_string("/proc/self/limits").ok()?)
}

fn open_files(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// When the machine started, in seconds since 1970.
fn boot() -> Option<f64> {
    fs::read_to_string("/proc/stat").ok()?.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_process_is_read_whatever_it_is_called() {
        let stat =
            "42 (a ) (b) S 1 42 42 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 7 0 12345 1000 64 18446744073709551615";
        let status = "Name:\ta ) (b\nVmRSS:\t    2048 kB\nThreads:\t7\n";
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n";
        let seen = Seen::read(stat, status, limits, Ok(9)).unwrap();
        assert_eq!((seen.cpu, seen.started), (3.0, 123.45));
        assert_eq!((seen.resident, seen.open_fds, seen.max_fds, seen.threads), (2_097_152, 9, 1024, 7));
        assert!(Seen::read("42", status, limits, Ok(9)).is_none());
        let boundless = Seen::read(stat, status, &limits.replace("1024 ", "unlimited "), Ok(9)).unwrap();
        assert_eq!((boundless.open_fds, boundless.max_fds), (9, i64::MAX));
    }

    #[test]
    fn the_limit_of_open_files_is_read_where_linux_tells_it() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             95950                95950                processes \n\
                      Max open files            1024                 1048576              files     \n";
        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(open_files(&limits.replace("1024 ", "unlimited ")), None);
        assert_eq!(open_files(""), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory_files_and_a_beginning() {
        let process = Process::new().unwrap();
        let value = |name: &str| {
            let families = process.collect();
            let family = families.iter().find(|family| family.name() == name).unwrap();
            let one = &family.get_metric()[0];
            one.get_gauge().get_value() + one.get_counter().get_value()
        };
        assert!(value("process_resident_memory_bytes") > 1_000_000.0);
        let before = value("process_open_fds");
        let open: Vec<_> = (0..200).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();
        assert!(value("process_open_fds") > before, "{} files are open", open.len());
        assert!(value("process_max_fds") > 200.0 && value("process_threads") >= 1.0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - 86_400.0..=now + 1.0).contains(&value("process_start_time_seconds")));
        assert!(value("process_cpu_seconds_total") >= 0.0);
    }
}
