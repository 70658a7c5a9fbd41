//! The addresses of this machine's interfaces, most useful first.

use std::fs;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

/// All of them: first those of the interface that the way to everywhere else goes through, then the others in
/// the kernel's order, so that a bridge for containers does not stand for the machine. None where the kernel
/// does not tell.
pub fn addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = getifaddrs() else {
        return Vec::new();
    };
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let of_four = || Some(IpAddr::V4(address.as_sockaddr_in()?.ip()));
        let of_six = || Some(IpAddr::V6(address.as_sockaddr_in6()?.ip()));
        Some((interface.interface_name, of_four().or_else(of_six)?))
    });
    let table = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let ways = default_routes(&table("/proc/net/route"), &table("/proc/net/ipv6_route"));
    in_order(addresses.collect(), &ways)
}

/// The interfaces of the default routes, by metric, of IPv4 before those of IPv6. The columns are proc(5)'s:
/// interface, destination and so on, metric in the 7th, mask in the 8th; for IPv6 destination and its
/// length, metric in the 6th, interface in the last.
fn default_routes(four: &str, six: &str) -> Vec<String> {
    let mut found: Vec<(u8, u32, &str)> = Vec::new();
    for line in four.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        if let [interface, "00000000", _, _, _, _, metric, "00000000", ..] = columns[..] {
            found.push((4, metric.parse().unwrap_or(u32::MAX), interface));
        }
    }
    for line in six.lines() {
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

fn in_order(mut addresses: Vec<(String, IpAddr)>, first: &[String]) -> Vec<IpAddr> {
    addresses.sort_by_key(|(interface, _)| {
        let place = first.iter().position(|one| one == interface);
        place.unwrap_or(first.len())
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
    fn the_way_out_comes_first() {
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
        let ordered = in_order(addresses.into(), &default_routes(ROUTES, ""));
        assert_eq!(
            ordered,
            ["192.168.2.5", "192.168.0.9", "127.0.0.1", "172.17.0.1"].map(address)
        );
    }

    #[test]
    fn this_machine_has_a_loopback() {
        assert!(addresses().iter().any(IpAddr::is_loopback));
    }
}
