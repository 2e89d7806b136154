//! Who is on the other side of a connection, when there may be proxies in between.
//!
//! `X-Forwarded-For` is a list anybody can begin; each proxy adds whom it talks to at its end. It is read from that end for
//! as long as whoever wrote is one of `TRUSTED_PROXIES`: the first address that is not was written by a proxy we trust, and
//! whatever stands before it is hearsay.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use poem::{
    Request,
    http::{HeaderMap, HeaderName},
    web::RemoteAddr,
};

static FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of whoever sent the request; none for connections that have none.
pub(super) fn client(request: &Request, trusted: &[IpNet]) -> Option<IpAddr> {
    let RemoteAddr(peer) = request.remote_addr();
    Some(behind(peer.as_socket_addr()?.ip(), request.headers(), trusted))
}

/// Whom the nearest proxies that are trusted, if any, speak for.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let lines: Vec<&str> = headers.get_all(&FORWARDED).iter().filter_map(|line| line.to_str().ok()).collect();
    let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(',')).map(address);
    let mut nearest = peer.to_canonical();
    while is_trusted(nearest, trusted) {
        // What cannot be read ends what can be known.
        let Some(Some(hop)) = hops.next() else { break };
        nearest = hop;
    }
    nearest
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:443`.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use poem::http::HeaderValue;

    use super::*;

    /// `peer` with these headers, behind 10.0.0.0/8 and one IPv6 proxy.
    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "2001:db8::ff/128"].map(|net| net.parse().unwrap()).to_vec();
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED.clone(), HeaderValue::from_str(line).unwrap());
        }
        behind(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn whoever_is_no_proxy_of_ours_is_who_they_are_whatever_they_say() {
        assert_eq!(seen("192.0.2.7", &[]), "192.0.2.7");
        assert_eq!(seen("192.0.2.7", &["198.51.100.1"]), "192.0.2.7");
        assert_eq!(seen("::ffff:192.0.2.7", &["198.51.100.1"]), "192.0.2.7");
    }

    #[test]
    fn a_proxy_speaks_for_the_last_it_talked_to_and_not_for_what_that_one_claims() {
        assert_eq!(seen("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["203.0.113.9, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["203.0.113.9, 198.51.100.1, 10.1.1.1"]), "198.51.100.1");
        assert_eq!(seen("10.0.0.1", &["203.0.113.9", "198.51.100.1", "10.1.1.1 , 10.2.2.2"]), "198.51.100.1");
        assert_eq!(seen("2001:db8::ff", &["[2001:db8::5]:443"]), "2001:db8::5");
        assert_eq!(seen("::ffff:10.0.0.1", &["::ffff:198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn what_cannot_be_read_ends_what_can_be_known() {
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &["198.51.100.1, _hidden, 10.1.1.1"]), "10.1.1.1");
        assert_eq!(seen("10.0.0.1", &["10.3.3.3, 10.1.1.1"]), "10.3.3.3", "all of them ours: the farthest");
    }
}
