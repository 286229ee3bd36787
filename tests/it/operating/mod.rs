//! What an operator relies on: retention, backups, upgrades, what stands before the server, what is watched, how it is deployed.

mod backup;
mod log;
mod manifests;
mod metrics;
mod proxies;
mod retention;
mod upgrade;
