//! Which addresses a webhook may have: only public ones. Otherwise a webhook could make the server send requests into
//! the private network behind it (server-side request forgery).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// The IP address in a URL, if its host is one rather than a name.
pub(crate) fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// Whether this is a public address, by the registries of special-purpose addresses (RFC 6890 and its successors).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        // In this order: "this network", protocol assignments, carrier-grade NAT, benchmarks, 6to4 relays, and
        // reserved addresses with broadcast.
        || a == 0
        || (a, b, c) == (192, 0, 0)
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (18..20).contains(&b))
        || (a, b, c) == (192, 88, 99)
        || a >= 240;
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // They embed an IPv4 address: IPv4-mapped and IPv4-compatible, NAT64, and 6to4.
        [0, 0, 0, 0, 0, 0xffff | 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => embedded(high, low),
        // Documentation, and protocol assignments including Teredo.
        [0x2001, 0x0db8 | 0..=0x01ff, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        // Global unicast addresses are public, all others are not.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    fn is_public(address: &str) -> bool {
        super::is_public(address.parse().unwrap())
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for address in
            ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]
        {
            assert!(is_public(address), "{address}");
        }
    }

    #[test]
    fn addresses_behind_the_server_are_not() {
        for address in [
            "127.0.0.1",
            "127.8.9.1",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "203.0.113.9",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd12:3456::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "5f00::1",
        ] {
            assert!(!is_public(address), "{address}");
        }
    }

    #[test]
    fn an_address_is_seen_however_it_is_spelled() {
        let literal = |url: &str| super::literal(&url.parse().unwrap()).map(|address| address.to_string());
        for url in ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1:80/"] {
            assert_eq!(literal(url).as_deref(), Some("127.0.0.1"), "{url}");
        }
        assert_eq!(literal("http://[::1]:8080/").as_deref(), Some("::1"));
        assert_eq!(literal("http://localhost/"), None);
    }
}
