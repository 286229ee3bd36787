//! The guard, spelling by spelling.

use super::*;

fn guard(allowed: &[&str]) -> Guard {
    Guard::new(allowed.iter().map(|text| text.parse().unwrap()).collect())
}

#[test]
fn public_https_passes() {
    for text in [
        "https://caller.example.com/cs",
        "https://caller.example.com:8443/cs?x=1",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/",
        "https://bücher.example.com/",
        "https://caller.example.com./cs",
        // What NAT64 makes of a public address.
        "https://[64:ff9b::93.184.216.34]/",
    ] {
        assert!(matches!(guard(&[]).check(text), Ok(Target::Public(_))), "{text}");
    }
}

#[test]
fn no_spelling_of_an_inner_address_passes() {
    for host in [
        // IPv4: plain, decimal, octal, hexadecimal, short, mixed, percent-encoded, full-width, dotted by an ideographic stop, with a dot at its end.
        "127.0.0.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "017700000001",
        "127.1",
        "127.0.1",
        "0x7f.1",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "2852039166",
        "0xA9FEA9FE",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        // IPv6: loopback, unspecified, mapped, compatible, NAT64, 6to4, Teredo, local, link-local, site-local, multicast, documentation.
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:93.184.216.34]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::10.0.0.1]",
        "[2002:7f00:1::]",
        "[2002:5db8:d822::1]",
        "[2001:0:7f00:1::]",
        "[2001:db8::1]",
        "[3fff::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[5f00::1]",
        "[100::1]",
        // Names that never leave this machine or network.
        "localhost",
        "LOCALHOST",
        "localhost.",
        "api.localhost",
        "printer.local",
        "metadata.google.internal",
        "router.home.arpa",
        "intranet",
        "ⓛocalhost",
    ] {
        for text in [format!("https://{host}/"), format!("https://{host}:8443/x"), format!("https:\\\\{host}\\")] {
            assert_eq!(guard(&[]).check(&text), Err(NOT_PUBLIC), "{text}");
        }
    }
}

#[test]
fn what_is_no_plain_https_url_is_refused() {
    for (text, why) in [
        ("", "is not an absolute URL"),
        ("/cs", "is not an absolute URL"),
        ("https://", "is not an absolute URL"),
        // A zone is part of no URL (RFC 6874 is withdrawn practice).
        ("https://[fe80::1%25eth0]/", "is not an absolute URL"),
        ("https://[fe80::1%eth0]/", "is not an absolute URL"),
        ("https://127.0.0.256/", "is not an absolute URL"),
        ("https://999999999999/", "is not an absolute URL"),
        ("https://exa mple.com/", "is not an absolute URL"),
        ("http://caller.example.com/", "must be an https URL"),
        ("http://127.0.0.1/", "must be an https URL"),
        ("ftp://caller.example.com/", "must be an https URL"),
        ("file:///etc/passwd", "must be an https URL"),
        ("gopher://caller.example.com/", "must be an https URL"),
        ("https://user@caller.example.com/", "must not carry credentials"),
        ("https://caller.example.com@127.0.0.1/", "must not carry credentials"),
        ("https://:secret@caller.example.com/", "must not carry credentials"),
        ("https://caller.example.com/#x", "must not have a fragment (#)"),
    ] {
        assert_eq!(guard(&[]).check(text).unwrap_err().to_string(), why, "{text}");
    }
}

#[test]
fn an_allowed_host_may_be_private_and_plain_at_its_port_only() {
    let guard = guard(&["127.0.0.1:9999", "hooks.corp", "[::1]"]);
    for text in ["http://127.0.0.1:9999/cs", "https://127.1:9999/", "http://hooks.corp/", "https://HOOKS.corp.:444/", "http://[::1]:1/"] {
        assert!(matches!(guard.check(text), Ok(Target::Allowed(_))), "{text}");
    }
    for text in ["https://127.0.0.1/", "https://127.0.0.1:9998/", "https://127.0.0.2:9999/", "https://x.hooks.corp/", "https://[::2]/"] {
        assert_eq!(guard.check(text), Err(NOT_PUBLIC), "{text}");
    }
    assert_eq!(guard.check("http://u:p@hooks.corp/").unwrap_err().to_string(), "must not carry credentials");
}

proptest::proptest! {
    #[test]
    fn whatever_is_checked_neither_panics_nor_passes_an_inner_literal(text in "(https?://)?[\\[\\]0-9a-fA-Fx.:%@/\\\\]{0,40}") {
        if let Ok(Target::Public(url)) = guard(&[]).check(&text) {
            let public = match url.host().unwrap() {
                Host::Ipv4(ip) => is_public(IpAddr::V4(ip)) && !ip.is_private() && !ip.is_loopback() && !ip.is_link_local(),
                Host::Ipv6(ip) => is_public(IpAddr::V6(ip)) && !ip.is_loopback(),
                Host::Domain(name) => name.contains('.'),
            };
            proptest::prop_assert!(public && url.scheme() == "https", "{url}");
        }
    }
}
