//! The addresses of the host's network interfaces.

use std::fs;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

/// The addresses of all interfaces: first those of the interfaces with a default route, so that the address of
/// a container bridge is not taken for that of the host, then the others in the kernel's order. Empty if the
/// kernel cannot list them.
pub fn list_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = getifaddrs() else {
        return Vec::new();
    };
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = || Some(IpAddr::V4(address.as_sockaddr_in()?.ip()));
        let v6 = || Some(IpAddr::V6(address.as_sockaddr_in6()?.ip()));
        Some((interface.interface_name, v4().or_else(v6)?))
    });
    let table = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let routed = default_routes(&table("/proc/net/route"), &table("/proc/net/ipv6_route"));
    sort_addresses(addresses.collect(), &routed)
}

/// The interfaces of the default routes by metric, those of IPv4 first. The columns are described in proc(5):
/// for IPv4 interface, destination, metric in the 7th and mask in the 8th; for IPv6 destination, its prefix
/// length, metric in the 6th and interface in the last.
fn default_routes(v4_table: &str, v6_table: &str) -> Vec<String> {
    let mut found: Vec<(u8, u32, &str)> = Vec::new();
    for line in v4_table.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        if let [interface, "00000000", _, _, _, _, metric, "00000000", ..] = columns[..] {
            found.push((4, metric.parse().unwrap_or(u32::MAX), interface));
        }
    }
    for line in v6_table.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        if let [destination, "00", _, _, _, metric, .., interface] = columns[..]
            && destination.bytes().all(|digit| digit == b'0')
            && interface != "lo"
        {
            let metric = u32::from_str_radix(metric, 16).unwrap_or(u32::MAX);
            found.push((6, metric, interface));
        }
    }
    found.sort_by_key(|(family, metric, _)| (*family, *metric));
    found
        .into_iter()
        .map(|(_, _, interface)| String::from(interface))
        .collect()
}

fn sort_addresses(mut addresses: Vec<(String, IpAddr)>, first: &[String]) -> Vec<IpAddr> {
    addresses.sort_by_key(|(interface, _)| {
        let index = first.iter().position(|one| one == interface);
        index.unwrap_or(first.len())
    });
    addresses.into_iter().map(|(_, address)| address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n\
        wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
        eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
    const ROUTES_SIX: &str = "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
        fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
        00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";

    #[test]
    fn interfaces_with_a_default_route_come_first() {
        assert_eq!(
            default_routes(ROUTES, ROUTES_SIX),
            ["eth0", "wlan0", "eth1"]
        );
        assert!(default_routes("", "x\n\n").is_empty());
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        let addresses = [
            ("lo", "127.0.0.1"),
            ("docker0", "172.17.0.1"),
            ("wlan0", "192.168.0.9"),
            ("eth0", "192.168.2.5"),
        ]
        .map(|(interface, text)| (String::from(interface), address(text)));
        let ordered = sort_addresses(addresses.into(), &default_routes(ROUTES, ""));
        assert_eq!(
            ordered,
            ["192.168.2.5", "192.168.0.9", "127.0.0.1", "172.17.0.1"].map(address)
        );
    }

    #[test]
    fn the_loopback_address_is_listed() {
        assert!(list_addresses().iter().any(IpAddr::is_loopback));
    }
}
