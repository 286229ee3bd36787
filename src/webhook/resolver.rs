//! Owns the addresses behind a name at the moment of connecting: all of them must be public, and one of them is called.
//!
//! Never lets a name that changed since it was checked (DNS rebinding) lead inside: the addresses judged here are the very
//! ones that the connector gets.

use super::guard::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;
use std::sync::Arc;

/// Asks which addresses a name has.
pub trait Lookup: Send + Sync + 'static {
    /// Its addresses; the port is 0.
    fn lookup(&self, name: String) -> futures::future::BoxFuture<'static, std::io::Result<Vec<SocketAddr>>>;
}

/// The system's resolver.
#[derive(Debug)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> futures::future::BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
    }
}

/// A name stands for an address that no callback may reach.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to an address that is not public")]
pub(super) struct NotPublic;

/// Lets public addresses through.
pub(super) struct GuardedResolver(pub(super) Arc<dyn Lookup>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.0.lookup(name.as_str().to_owned());
        Box::pin(async move {
            let addresses = found.await?;
            // One inner address among public ones is an attack, or a mistake that looks like one.
            if addresses.is_empty() || !addresses.iter().all(|address| is_public(address.ip())) {
                return Err(NotPublic.into());
            }
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}
