//! Owns the address of a client: who connected, or what the trusted proxies say about whom they speak for.
//!
//! Never believes a word that a client could have written itself: what stands to the left of an untrusted address, or of
//! something that is no address, is hearsay. The address is for the log; nothing is decided by it.

use axum::http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client behind `peer`: the rightmost in the headers that is not a trusted proxy's.
///
/// Where both headers are there and differ, a proxy writes one of them and the client may have written the other: neither is believed.
pub(super) fn of_client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut believed = peer.to_canonical();
    let (by_x, by_standard) = (hops(headers, &X_FORWARDED_FOR, plain), hops(headers, &header::FORWARDED, standard));
    let hops = match (by_x.is_empty(), by_standard.is_empty()) {
        (_, true) => by_x,
        (true, false) => by_standard,
        (false, false) if by_x == by_standard => by_x,
        (false, false) => return believed,
    };
    for hop in hops.into_iter().rev() {
        if !trusted.iter().any(|network| network.contains(&believed)) {
            break;
        }
        let Some(hop) = hop else { break };
        believed = hop;
    }
    believed
}

/// The hops that a header names, nearest last; `None` for one that is no address. Several lines are one list (RFC 9110 §5.3).
fn hops(headers: &HeaderMap, name: &HeaderName, read: fn(&str) -> Option<IpAddr>) -> Vec<Option<IpAddr>> {
    let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(|hop| read(hop.trim_matches([' ', '\t']))).collect()
}

/// An element of `X-Forwarded-For`: an address, with a port or without.
fn plain(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let address = text.parse().ok().or_else(bracketed).or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(address.to_canonical())
}

/// An element of `Forwarded` (RFC 7239 §4): `for=192.0.2.1;proto=https`, `For="[2001:db8::1]:4711"`. Names such as `unknown` and
/// `_hidden` are no addresses.
fn standard(element: &str) -> Option<IpAddr> {
    let mut of = element.split(';').filter_map(|pair| {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let value = of.next()?;
    if of.next().is_some() {
        return None;
    }
    match value.strip_prefix('"') {
        // A bare IPv6 address is not allowed there: it needs quotes and brackets.
        Some(quoted) => quoted.strip_suffix('"').filter(|inner| inner.starts_with('[') || !inner.contains("::")).and_then(plain),
        None => (!value.contains(':')).then(|| plain(value)).flatten(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(headers: &[(&str, &str)]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "2001:db8:1::/48"].iter().map(|network| network.parse().unwrap()).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        of_client("10.0.0.1".parse().unwrap(), &map, &trusted).to_string()
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxys_is_the_clients() {
        for (forwarded, client) in [
            ("203.0.113.7", "203.0.113.7"),
            ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
            ("6.6.6.6, 203.0.113.7, 10.9.9.9", "203.0.113.7"),
            ("203.0.113.7:4711,10.9.9.9", "203.0.113.7"),
            ("2001:db8:2::7, [2001:db8:1::1]:443", "2001:db8:2::7"),
            ("[2001:db8:2::7]", "2001:db8:2::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            // Everybody on the way is ours.
            ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
            // What is no address ends what is believed.
            ("6.6.6.6, unknown, 10.2.2.2", "10.2.2.2"),
            ("6.6.6.6, 203.0.113.7x", "10.0.0.1"),
            ("203.0.113.007", "10.0.0.1"),
            ("6.6.6.6,,", "10.0.0.1"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(seen(&[("x-forwarded-for", forwarded)]), client, "{forwarded}");
        }
        assert_eq!(seen(&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "203.0.113.7")]), "203.0.113.7");
        assert_eq!(seen(&[]), "10.0.0.1");
    }

    #[test]
    fn the_standard_header_is_read_as_it_is_defined() {
        for (forwarded, client) in [
            ("for=203.0.113.7", "203.0.113.7"),
            ("by=10.0.0.1; For=203.0.113.7 ;proto=https", "203.0.113.7"),
            ("for=6.6.6.6, for=\"203.0.113.7:4711\", for=10.2.2.2", "203.0.113.7"),
            ("for=\"[2001:db8:2::7]:4711\"", "2001:db8:2::7"),
            ("for=6.6.6.6, for=_hidden", "10.0.0.1"),
            ("for=6.6.6.6, for=unknown", "10.0.0.1"),
            ("for=2001:db8:2::7", "10.0.0.1"),
            ("for=\"2001:db8:2::7\"", "10.0.0.1"),
            ("for=6.6.6.6;for=7.7.7.7", "10.0.0.1"),
            ("for=\"6.6.6.6", "10.0.0.1"),
            ("proto=https", "10.0.0.1"),
        ] {
            assert_eq!(seen(&[("forwarded", forwarded)]), client, "{forwarded}");
        }
    }

    #[test]
    fn of_two_headers_that_differ_neither_is_believed() {
        assert_eq!(seen(&[("forwarded", "for=203.0.113.7"), ("x-forwarded-for", "203.0.113.7")]), "203.0.113.7");
        assert_eq!(seen(&[("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "203.0.113.7")]), "10.0.0.1");
    }

    #[test]
    fn whoever_is_no_proxy_is_believed_nothing() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, "10.0.0.1".parse().unwrap());
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        assert_eq!(of_client("203.0.113.7".parse().unwrap(), &headers, &trusted).to_string(), "203.0.113.7");
        assert_eq!(of_client("::ffff:10.0.0.9".parse().unwrap(), &headers, &[]).to_string(), "10.0.0.9");
    }
}
