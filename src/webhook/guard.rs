//! Owns where a callback may go: which URLs, and which addresses.
//!
//! Never resolves a name: a name is judged by its letters here, and by every address it stands for in `resolver`, at the
//! moment of connecting. The URL is parsed as browsers do (WHATWG), with the same crate that the HTTP client uses, so every
//! spelling of an address (decimal, octal, hexadecimal, short, percent-encoded, full-width, with a dot at its end) is judged
//! as the address that would be called. Sources: the IANA special-purpose registries of IPv4 and IPv6 (RFC 6890).

use crate::config::webhooks::AllowedHost;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Why a callback cannot go there; a sentence without its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(&'static str);

const NOT_PUBLIC: Refused =
    Refused("names an address that is not public (loopback, private, link-local, metadata or reserved); an operator can allow its host");

/// A URL that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Every address that its name resolves to must be public.
    Public(Url),
    /// The operator allows this host whatever it resolves to.
    Allowed(Url),
}

/// The guard, with the operator's exceptions.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Vec<AllowedHost>,
}

impl Guard {
    /// With these exceptions.
    #[must_use]
    pub fn new(allowed: Vec<AllowedHost>) -> Self {
        Self { allowed }
    }

    /// Judges a URL by its letters.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(&self, text: &str) -> Result<Target, Refused> {
        let url = Url::parse(text).map_err(|_| Refused("is not an absolute URL"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(Refused("must be an https URL"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused("must not carry credentials"));
        }
        if url.fragment().is_some() {
            return Err(Refused("must not have a fragment (#)"));
        }
        let host = url.host().ok_or(Refused("is not an absolute URL"))?;
        if self.allows(&url) {
            return Ok(Target::Allowed(url));
        }
        if url.scheme() != "https" {
            return Err(Refused("must be an https URL"));
        }
        let public = match host {
            Host::Ipv4(ip) => is_public(IpAddr::V4(ip)),
            Host::Ipv6(ip) => is_public(IpAddr::V6(ip)),
            Host::Domain(name) => may_be_public(name),
        };
        if public { Ok(Target::Public(url)) } else { Err(NOT_PUBLIC) }
    }

    fn allows(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        let port = url.port_or_known_default();
        self.allowed.iter().any(|allowed| allowed.host == host && allowed.port.is_none_or(|only| Some(only) == port))
    }
}

/// A name that could stand for a public host: not one that is reserved for this machine or this network (RFC 6761, 6762, 8375,
/// and `.internal`), nor one without a dot, which is completed by the resolver's search list.
fn may_be_public(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let inside = ["localhost", "local", "internal", "home.arpa", "localdomain", "lan", "intranet", "corp", "home"];
    name.contains('.') && !inside.iter().any(|suffix| name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.')))
}

/// An address that anybody on the Internet could call.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, d] = ip.octets();
    let special = match a {
        // This network, private, loopback; multicast, reserved and broadcast.
        0 | 10 | 127 | 224..=255 => true,
        // Between a provider and its customers; also the metadata of some clouds.
        100 => (64..128).contains(&b),
        // Link-local; the metadata of most clouds.
        169 => b == 254,
        172 => (16..32).contains(&b),
        // Protocol assignments, documentation, relays of 6to4, private.
        192 => (b == 0 && (c == 0 || c == 2)) || (b == 88 && c == 99) || b == 168,
        // Benchmarks, documentation.
        198 => b == 18 || b == 19 || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        // Inside every virtual machine of Azure: agent and DNS.
        168 => [b, c, d] == [63, 129, 16],
        _ => false,
    };
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let parts = ip.segments();
    // NAT64 (RFC 6052): where a network has no IPv4, public hosts look like this, and so do private ones.
    if parts[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let low = (u32::from(parts[6]) << 16) | u32::from(parts[7]);
        return is_public_v4(Ipv4Addr::from(low));
    }
    // Global unicast, without protocol assignments (Teredo among them), documentation and 6to4. IPv4 in any other dress
    // (mapped, compatible), loopback, link-local, unique local and multicast all lie outside.
    let (first, second) = (parts[0], parts[1]);
    let global = first & 0xe000 == 0x2000;
    let protocol = first == 0x2001 && second < 0x200;
    let documentation = (first == 0x2001 && second == 0xdb8) || (first == 0x3fff && second < 0x1000);
    global && !protocol && !documentation && first != 0x2002
}

#[cfg(test)]
mod tests;
