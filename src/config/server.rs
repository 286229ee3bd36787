//! Owns `[server]`: where we listen and under which address the world knows us.
//!
//! Never opens a socket.

use crate::config::fields::{Fields, Section};
use crate::config::key::{Invalid, Key, Kind, Preset};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use url::Url;

/// `[server]`.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where the API listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address in links, in `Location` and in the `iss` of grants; no slash at the end.
    pub public_url: String,
    /// Where `/metrics` listens; none: off.
    pub metrics_listen: Option<SocketAddr>,
    /// Who is believed about the address of a client.
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for Server {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        Self {
            listen,
            public_url: local_url(listen),
            metrics_listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9090))),
            trusted_proxies: Vec::new(),
        }
    }
}

impl Section for Server {
    const NAME: &'static str = "server";
    const HEADING: &'static str = "[server]";
    const KEYS: &'static [Key] = &[
        Key::new(
            "server",
            "listen",
            Kind::Address,
            Preset::Value("\"127.0.0.1:8080\""),
            "Where the API listens. Loopback until you decide otherwise.",
        ),
        Key::new(
            "server",
            "public_url",
            Kind::Url,
            Preset::Value("\"http://127.0.0.1:8080\""),
            "The address under which people and callers reach the server: in links on cards and as the issuer of grants. Without it, http:// and listen.",
        ),
        Key::new(
            "server",
            "metrics_listen",
            Kind::Address,
            Preset::Value("\"127.0.0.1:9090\""),
            "Where /metrics listens, apart from the API so that it stays private. \"\" turns it off.",
        ),
        Key::new(
            "server",
            "trusted_proxies",
            Kind::List,
            Preset::Value("[]"),
            "Addresses or networks (192.0.2.1, 10.0.0.0/8) of your proxies: what they say in X-Forwarded-For or Forwarded about a client's address is believed, for the log.",
        ),
    ];

    fn read(fields: &mut Fields<'_>) -> Self {
        let defaults = Self::default();
        let listen = fields.parsed("listen", address).unwrap_or(defaults.listen);
        let public_url = fields.parsed("public_url", public_url).unwrap_or_else(|| local_url(listen));
        let metrics_listen = fields
            .parsed("metrics_listen", |text| if text.is_empty() { Ok(None) } else { address(text).map(Some) })
            .unwrap_or(defaults.metrics_listen);
        let trusted_proxies = fields.list("trusted_proxies", network).unwrap_or_default();
        Self { listen, public_url, metrics_listen, trusted_proxies }
    }

    fn validate(&self) -> Vec<Invalid> {
        if self.listen.port() != 0 && self.metrics_listen == Some(self.listen) {
            return vec![Invalid::new("metrics_listen", "metrics_listen must differ from listen, or be \"\" for off")];
        }
        Vec::new()
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("\"{}\" is not an IP address and a port; write for example \"127.0.0.1:8080\"", text.escape_debug()))
}

/// An address or a network, written as it is meant: bits beyond the prefix would be a slip, and everybody's network no proxy's.
fn network(text: &str) -> Result<IpNet, String> {
    let wrong = |what: &str| format!("\"{}\" {what}", text.escape_debug());
    let network: IpNet = match text.parse::<IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => text.parse().map_err(|_| wrong("is not an address or a network; write for example \"192.0.2.1\" or \"10.0.0.0/8\""))?,
    };
    if network.trunc() != network {
        return Err(wrong(&format!("has bits beyond its prefix; write \"{}\"", network.trunc())));
    }
    if network.prefix_len() == 0 {
        return Err(wrong("would believe everybody; name your proxies"));
    }
    if matches!(network, IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some()) {
        return Err(wrong("is an IPv4 address in IPv6 form; write it as IPv4"));
    }
    Ok(network)
}

/// The address of a server that nobody gave a public one.
fn local_url(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

/// An absolute http(s) URL without what a prefix of links cannot carry; slashes at its end are cut.
fn public_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("not an absolute URL ({error}); write for example \"https://countersign.example.com\""))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or a password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not hold ? or #".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_a_prefix_of_links() {
        for (text, wanted) in [
            ("https://cs.example.com", "https://cs.example.com"),
            ("https://cs.example.com/", "https://cs.example.com"),
            ("https://CS.example.com/approvals//", "https://cs.example.com/approvals"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ] {
            assert_eq!(public_url(text).as_deref(), Ok(wanted));
        }
        for text in [
            "cs.example.com",
            "/x",
            "ftp://cs.example.com",
            "https://u:p@cs.example.com",
            "https://cs.example.com/?a",
            "https://cs.example.com/#a",
            "",
            "https://",
        ] {
            assert!(public_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn proxies_are_addresses_or_networks() {
        for (text, wanted) in
            [("192.0.2.1", "192.0.2.1/32"), ("10.0.0.0/8", "10.0.0.0/8"), ("::1", "::1/128"), ("2001:db8::/32", "2001:db8::/32")]
        {
            assert_eq!(network(text).unwrap().to_string(), wanted);
        }
        for (text, message) in [
            ("proxy.example.com", "is not an address"),
            ("10.0.0.0/33", "is not an address"),
            ("10.0.0", "is not an address"),
            (" 10.0.0.1", "is not an address"),
            ("", "is not an address"),
            ("10.0.0.1/8", "has bits beyond its prefix; write \"10.0.0.0/8\""),
            ("0.0.0.0/0", "would believe everybody"),
            ("::/0", "would believe everybody"),
            ("::ffff:10.0.0.1", "is an IPv4 address in IPv6 form"),
        ] {
            let found = network(text).unwrap_err();
            assert!(found.contains(message), "{text}: {found}");
        }
    }

    #[test]
    fn without_a_public_url_it_follows_listen() {
        assert_eq!(local_url("0.0.0.0:80".parse().unwrap()), "http://127.0.0.1:80");
        assert_eq!(local_url("[::1]:81".parse().unwrap()), "http://[::1]:81");
        assert_eq!(Server::default().public_url, "http://127.0.0.1:8080");
    }
}
