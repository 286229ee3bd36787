//! Owns what a result says about where it comes from: the machine, the commit, and processes' time and memory from `/proc`.

use anyhow::Context as _;
use serde_json::{Value, json};
use std::process::Command;

/// The machine and the source.
pub fn describe() -> Value {
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |(_, name)| name);
    let memory = read("/proc/meminfo");
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "cpu": model,
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "memory_kib": field(&memory, "MemTotal:"),
        "load_average": read("/proc/loadavg").trim(),
        "commit": git(&["rev-parse", "HEAD"]),
        "dirty": !git(&["status", "--porcelain", "--untracked-files=no"]).is_empty(),
    })
}

/// Other processes' claim on the cores, beside a figure.
pub fn load_average() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned()
}

/// User and system time that a process has used, in microseconds.
pub fn cpu_us(pid: u32) -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    // The name of the process may hold spaces, but ends with the last parenthesis.
    let after = stat.rsplit_once(')').context("odd /proc/stat")?.1;
    let mut fields = after.split_whitespace().skip(11);
    let mut next = || fields.next().and_then(|text| text.parse::<u64>().ok()).context("odd /proc/stat");
    // Linux tells user space hundredths of a second (USER_HZ), whatever the kernel counts in.
    Ok((next()? + next()?) * 10_000)
}

/// Resident memory of a process in KiB.
pub fn rss_kib(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    Ok(field(&status, "VmRSS:"))
}

/// Lets this process and its children have as many descriptors as they may.
pub fn raise_descriptors() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn field(text: &str, name: &str) -> u64 {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn git(arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
