//! Interfaces and addresses: `ip -o addr` for the addresses, sysfs and procfs for the rest.
//!
//! Without `ip` the IPv4 addresses are those of the kernel's own table (`fib_trie`), given to the interface
//! whose route holds them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::{ask, exists, put, read};
use crate::system::System;
use crate::value::{Map, Value};

const INTERFACES: &str = "/sys/class/net";

/// `ARPHRD_*` of `<linux/if_arp.h>`.
const TYPES: &[(&str, &str)] = &[
    ("1", "ether"),
    ("32", "infiniband"),
    ("512", "ppp"),
    ("772", "loopback"),
    ("65534", "tunnel"),
];

pub fn gather(system: &dyn System, facts: &mut Map) {
    let names: Vec<String> = system
        .read_dir(INTERFACES.as_ref())
        .unwrap_or_default()
        .iter()
        .filter_map(|path| path.file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| exists(system, &format!("{INTERFACES}/{name}/type")))
        .collect();
    let routes = routes(&read(system, "/proc/net/route").unwrap_or_default());
    let mut addresses = match ask(system, &["ip", "-o", "addr", "show"]) {
        Some(text) => parse_addresses(&text),
        None => table_addresses(&read(system, "/proc/net/fib_trie").unwrap_or_default(), &routes),
    };
    if !addresses.iter().any(Address::is_v6) {
        addresses.extend(parse_if_inet6(
            &read(system, "/proc/net/if_inet6").unwrap_or_default(),
        ));
    }
    let listed = |v6: bool| -> Vec<String> {
        addresses
            .iter()
            .filter(|address| address.is_v6() == v6 && !address.is_loopback())
            .map(|address| address.text.clone())
            .collect()
    };
    put(facts, "all_ipv4_addresses", listed(false));
    put(facts, "all_ipv6_addresses", listed(true));
    let mut local = Map::new();
    for (family, option) in [("ipv4", "-4"), ("ipv6", "-6")] {
        let table = ask(system, &["ip", option, "route", "show", "table", "local"]).unwrap_or_default();
        put(&mut local, family, local_addresses(&table));
    }
    put(facts, "locally_reachable_ips", local);
    for name in &names {
        // A name with a dash or a dot could not be used in a template.
        let fact = name.replace(['-', ':', '.'], "_");
        facts.insert(fact, Value::Map(interface(name, &addresses, system)));
    }
    put(facts, "interfaces", names);
    let default4 = routes
        .iter()
        .filter(|route| route.is_default())
        .min_by_key(|route| route.metric);
    put(
        facts,
        "default_ipv4",
        default4
            .map(|route| default_ipv4(route, facts))
            .unwrap_or_default(),
    );
    let default6 = default_route6(&read(system, "/proc/net/ipv6_route").unwrap_or_default());
    put(
        facts,
        "default_ipv6",
        default6
            .map(|route| default_ipv6(&route, facts))
            .unwrap_or_default(),
    );
}

/// `local 127.0.0.0/8 dev lo ...`: what the kernel takes for itself.
fn local_addresses(table: &str) -> Vec<Value> {
    let local = table
        .lines()
        .filter_map(|line| line.trim().strip_prefix("local "));
    local
        .filter_map(|line| line.split_whitespace().next())
        .map(Value::from)
        .collect()
}

/// One address of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    interface: String,
    text: String,
    prefix: u32,
    scope: String,
    broadcast: String,
}

impl Address {
    fn is_v6(&self) -> bool {
        self.text.contains(':')
    }

    fn is_loopback(&self) -> bool {
        self.text.starts_with("127.") || self.text == "::1"
    }

    fn fact(&self) -> Map {
        let mut fact = Map::new();
        put(&mut fact, "address", self.text.as_str());
        if let Ok(address) = self.text.parse::<Ipv4Addr>() {
            let mask = netmask(self.prefix);
            put(&mut fact, "broadcast", self.broadcast.as_str());
            put(&mut fact, "netmask", mask.to_string());
            put(&mut fact, "network", (address & mask).to_string());
            put(&mut fact, "prefix", self.prefix.to_string());
        } else {
            put(&mut fact, "prefix", self.prefix.to_string());
            put(&mut fact, "scope", self.scope.as_str());
        }
        fact
    }
}

fn netmask(prefix: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0))
}

/// `2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0\ ...`
fn parse_addresses(text: &str) -> Vec<Address> {
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[_, interface, family, address, ..] = words.as_slice() else {
            return None;
        };
        if !matches!(family, "inet" | "inet6") {
            return None;
        }
        let after = |word: &str| {
            let at = words.iter().position(|known| *known == word)?;
            words.get(at + 1).map(|text| (*text).to_owned())
        };
        // A tunnel's own address comes without a prefix, before `peer`.
        let (address, prefix) = match address.split_once('/') {
            Some((address, prefix)) => (address, prefix.parse().ok()?),
            None => (address, 32),
        };
        Some(Address {
            interface: interface.split('@').next().unwrap_or(interface).to_owned(),
            text: address.to_owned(),
            prefix,
            scope: after("scope").unwrap_or_default(),
            broadcast: after("brd").unwrap_or_default(),
        })
    };
    text.lines().filter_map(parse).collect()
}

/// `fe80...01 02 40 20 80 eth0`: address, index, prefix, scope, flags, name.
fn parse_if_inet6(text: &str) -> Vec<Address> {
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let &[address, _, prefix, scope, _, interface] = words.as_slice() else {
            return None;
        };
        let scope = match scope {
            "00" => "global",
            "10" => "host",
            "20" => "link",
            _ => "site",
        };
        Some(Address {
            interface: interface.to_owned(),
            text: Ipv6Addr::from(u128::from_str_radix(address, 16).ok()?).to_string(),
            prefix: u32::from_str_radix(prefix, 16).ok()?,
            scope: scope.to_owned(),
            broadcast: String::new(),
        })
    };
    text.lines().filter_map(parse).collect()
}

/// Addresses that the routing table calls local, each with the interface and mask of the route it lies in.
fn table_addresses(trie: &str, routes: &[Route]) -> Vec<Address> {
    let mut found: Vec<Address> = Vec::new();
    let mut last = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL")
            && let Some(address) = last
            && !found.iter().any(|known| known.text == address.to_string())
        {
            let route = routes
                .iter()
                .find(|route| !route.is_default() && address & netmask(route.prefix) == route.destination);
            let (interface, prefix) = match route {
                Some(route) => (route.interface.clone(), route.prefix),
                None if address.is_loopback() => ("lo".to_owned(), 8),
                None => (String::new(), 32),
            };
            found.push(Address {
                interface,
                text: address.to_string(),
                prefix,
                scope: "global".to_owned(),
                broadcast: String::new(),
            });
        }
    }
    found
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Route {
    interface: String,
    destination: Ipv4Addr,
    gateway: Ipv4Addr,
    prefix: u32,
    metric: u32,
}

impl Route {
    fn is_default(&self) -> bool {
        self.prefix == 0 && self.destination.is_unspecified()
    }
}

/// `/proc/net/route`: addresses are hexadecimal in the CPU's byte order.
fn routes(text: &str) -> Vec<Route> {
    let address = |hex: &str| {
        u32::from_str_radix(hex, 16)
            .ok()
            .map(|raw| Ipv4Addr::from(raw.to_ne_bytes()))
    };
    let parse = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        Some(Route {
            interface: (*words.first()?).to_owned(),
            destination: address(words.get(1)?)?,
            gateway: address(words.get(2)?)?,
            metric: words.get(6)?.parse().ok()?,
            prefix: u32::from(address(words.get(7)?)?).count_ones(),
        })
    };
    text.lines().skip(1).filter_map(parse).collect()
}

/// Interface and gateway of the default route.
fn default_route6(text: &str) -> Option<(String, String)> {
    text.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let default = words.first()?.bytes().all(|byte| byte == b'0') && *words.get(1)? == "00";
        let interface = *words.get(9)?;
        let gateway = Ipv6Addr::from(u128::from_str_radix(words.get(4)?, 16).ok()?);
        (default && interface != "lo").then(|| (interface.to_owned(), gateway.to_string()))
    })
}

fn interface(name: &str, addresses: &[Address], system: &dyn System) -> Map {
    let folder = Path::new(INTERFACES).join(name);
    let text = |file: &str| read(system, folder.join(file));
    let number = |file: &str| text(file).and_then(|text| text.parse::<i64>().ok());
    let mut fact = Map::new();
    put(&mut fact, "device", name);
    let flags = text("flags").and_then(|flags| i64::from_str_radix(flags.trim_start_matches("0x"), 16).ok());
    let flags = flags.unwrap_or(0);
    put(&mut fact, "active", flags & 1 != 0);
    put(&mut fact, "promisc", flags & 0x100 != 0);
    put(&mut fact, "mtu", number("mtu"));
    let kind = text("type").unwrap_or_default();
    let kind = TYPES
        .iter()
        .find(|(number, _)| *number == kind)
        .map_or("unknown", |(_, name)| name);
    let bridge = exists(system, &format!("{INTERFACES}/{name}/bridge"));
    let bonding = exists(system, &format!("{INTERFACES}/{name}/bonding"));
    put(
        &mut fact,
        "type",
        match (bridge, bonding) {
            (true, _) => "bridge",
            (_, true) => "bonding",
            _ => kind,
        },
    );
    if kind != "loopback"
        && let Some(address) = text("address").filter(|address| address != "00:00:00:00:00:00")
    {
        put(&mut fact, "macaddress", address);
    }
    if let Some(speed) = number("speed") {
        put(&mut fact, "speed", speed);
    }
    if let Ok(device) = system.canonicalize(&folder.join("device"))
        && let Some(device) = device
            .file_name()
            .filter(|_| exists(system, &format!("{INTERFACES}/{name}/device")))
    {
        put(&mut fact, "pciid", device.to_string_lossy().into_owned());
    }
    if bridge {
        put(&mut fact, "id", text("bridge/bridge_id").unwrap_or_default());
        put(&mut fact, "stp", text("bridge/stp_state").as_deref() == Some("1"));
        let ports = system.read_dir(&folder.join("brif")).unwrap_or_default();
        let ports = ports.iter().filter_map(|port| port.file_name());
        let ports: Vec<Value> = ports
            .map(|port| Value::from(port.to_string_lossy().into_owned()))
            .collect();
        put(&mut fact, "interfaces", Value::List(ports));
    }
    let own = || addresses.iter().filter(|address| address.interface == name);
    let mut v4 = own().filter(|address| !address.is_v6());
    if let Some(first) = v4.next() {
        put(&mut fact, "ipv4", first.fact());
    }
    let more: Vec<Value> = v4.map(|address| Value::Map(address.fact())).collect();
    if !more.is_empty() {
        put(&mut fact, "ipv4_secondaries", Value::List(more));
    }
    let v6: Vec<Value> = own()
        .filter(|address| address.is_v6())
        .map(|address| Value::Map(address.fact()))
        .collect();
    if !v6.is_empty() {
        put(&mut fact, "ipv6", Value::List(v6));
    }
    fact
}

fn default_ipv4(route: &Route, facts: &Map) -> Map {
    let mut fact = Map::new();
    put(&mut fact, "interface", route.interface.as_str());
    put(&mut fact, "alias", route.interface.as_str());
    put(&mut fact, "gateway", route.gateway.to_string());
    let interface = &facts.get(&route.interface.replace(['-', ':', '.'], "_"));
    let address = interface.and_then(|interface| interface.get("ipv4")?.as_map());
    fact.extend(address.cloned().unwrap_or_default());
    for key in ["macaddress", "mtu", "type"] {
        if let Some(value) = interface.and_then(|interface| interface.get(key)) {
            put(&mut fact, key, value.clone());
        }
    }
    fact
}

fn default_ipv6((name, gateway): &(String, String), facts: &Map) -> Map {
    let mut fact = Map::new();
    put(&mut fact, "interface", name.as_str());
    put(&mut fact, "gateway", gateway.as_str());
    let interface = facts.get(&name.replace(['-', ':', '.'], "_"));
    let addresses = interface.and_then(|interface| interface.get("ipv6")?.as_list());
    let global = addresses.and_then(|list| {
        list.iter()
            .find(|address| address.get("scope").and_then(Value::as_str) == Some("global"))
    });
    fact.extend(global.and_then(Value::as_map).cloned().unwrap_or_default());
    for key in ["macaddress", "mtu", "type"] {
        if let Some(value) = interface.and_then(|interface| interface.get(key)) {
            put(&mut fact, key, value.clone());
        }
    }
    fact
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
        eth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_routes_and_the_kernels_own_addresses() {
        let routes = routes(ROUTES);
        assert!(routes[0].is_default());
        assert_eq!(routes[0].gateway.to_string(), "10.0.0.1");
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.0.0.0\n        /24 link UNICAST\n     |-- 10.0.0.5\n        /32 host LOCAL\n";
        let found = table_addresses(trie, &routes);
        assert_eq!((found[0].interface.as_str(), found[0].prefix), ("eth0", 24));
    }

    #[test]
    fn reads_addresses() {
        let found = parse_addresses(
            "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever\n\
             2: eth0@if7    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0\\       valid_lft forever\n\
             2: eth0    inet6 fe80::1/64 scope link \\       valid_lft forever\n",
        );
        assert_eq!(
            Value::Map(found[1].fact()).to_string(),
            "{'address': '10.0.0.5', 'broadcast': '10.0.0.255', 'netmask': '255.255.255.0', 'network': '10.0.0.0', 'prefix': '24'}"
        );
        assert_eq!(found[1].interface, "eth0");
        assert_eq!(
            Value::Map(found[2].fact()).to_string(),
            "{'address': 'fe80::1', 'prefix': '64', 'scope': 'link'}"
        );
        let found = parse_if_inet6("fe800000000000000000000000000001 02 40 20 80     eth0\n");
        assert_eq!((found[0].text.as_str(), found[0].prefix), ("fe80::1", 64));
    }
}
